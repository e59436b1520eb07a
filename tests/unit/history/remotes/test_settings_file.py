"""DVC's settings are edited line by line, and DVC reads what was written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from configobj import ConfigObj

from emdvc.errors import ProjectError
from emdvc.history.settings_file import SettingsFile

TEXT = """\
# mine
[core]
    remote = lab  # the default
['remote "lab"']
    url = /mnt/lab
# of the next
['remote "far"']
    url = s3://bucket
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "config"
    file.write_text(TEXT)
    return file


def test_what_is_there_keeps_its_place(path: Path) -> None:
    file = SettingsFile(path)
    assert file.put('remote "lab"', {"url": "/mnt/lab", "verify": "true"}) == ["verify"]
    file.write()
    assert path.read_text() == TEXT.replace("    url = /mnt/lab\n", "    url = /mnt/lab\n    verify = true\n")


def test_a_value_is_replaced_and_a_section_made(path: Path) -> None:
    file = SettingsFile(path)
    file.put('remote "lab"', {"url": "/other"})
    file.put("cache", {"type": "reflink,copy"})
    file.write()
    read = ConfigObj(str(path))
    assert read['remote "lab"'] == {"url": "/other"}
    assert read["cache"] == {"type": "reflink,copy"}
    assert "# of the next\n['remote \"far\"']" in path.read_text()


def test_a_section_goes_and_the_next_keeps_its_comment(path: Path) -> None:
    file = SettingsFile(path)
    file.drop('remote "lab"')
    file.drop("core", "remote")
    file.drop("core", "nothing")
    file.drop("nothing")
    file.write()
    assert path.read_text() == "# mine\n[core]\n# of the next\n['remote \"far\"']\n    url = s3://bucket\n"


def test_nothing_put_is_nothing_changed(path: Path) -> None:
    file = SettingsFile(path)
    assert file.put("core", {"remote": "lab"}) == []
    assert not file.changed


@pytest.mark.parametrize("secret", ["plain", "a#b", "a,b", " blank ", "it's", 'say "so"', "both ' and \"", "=", "ä€"])
def test_every_secret_comes_back(tmp_path: Path, secret: str) -> None:
    file = SettingsFile(tmp_path / "config.local")
    file.put('remote "lab"', {"password": secret})
    file.write(private=True)
    assert SettingsFile(tmp_path / "config.local").get('remote "lab"') == {"password": secret}
    from dvc.config import Config

    assert Config.load_file(str(tmp_path / "config.local"))["remote"]["lab"]["password"] == secret


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_private_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "config.local"
    path.write_text("")
    path.chmod(0o644)
    file = SettingsFile(path)
    file.put("core", {"remote": "lab"})
    file.write(private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_is_refused(path: Path) -> None:
    path.write_text("[core\n")
    with pytest.raises(ProjectError, match="damaged"):
        SettingsFile(path)
