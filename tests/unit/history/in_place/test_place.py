"""Where a URL points to, and whose keys open it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emdvc.errors import Code, FormatError, UsageError
from emdvc.history.in_place.place import listed, listing_digest, place_of
from emdvc.history.project import Project
from emdvc.history.storage.contract import Stat


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in (".git", ".dvc", ".emdvc"):
        (tmp_path / "project" / folder).mkdir(parents=True)
    (tmp_path / "project/.dvc/config").write_text(
        "['remote \"facility\"']\n    url = s3://Beamline/store\n    endpointurl = http://127.0.0.1:9000\n"
        "['remote \"other\"']\n    url = s3://elsewhere\n    profile = other\n"
    )
    return Project(tmp_path / "project", tmp_path / "project")


def test_a_bucket(project: Project) -> None:
    place = place_of(project, "s3://beamline/2026/scan.zarr/")
    assert (place.settings.url, place.name, place.url) == (
        "s3://beamline/2026",
        "scan.zarr",
        "s3://beamline/2026/scan.zarr",
    )
    assert (place.settings.name, place.settings.options) == ("facility", {"endpointurl": "http://127.0.0.1:9000"})
    assert place.key("data/0.0") == "scan.zarr/data/0.0"
    assert place.key("") == "scan.zarr"
    assert place_of(project, "s3://third/scan.zarr").settings.options == {}


def test_a_folder(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = place_of(project, "drive/scan.zarr")
    assert place.url == (tmp_path / "drive/scan.zarr").as_posix()
    assert place.settings.scheme == "folder"


@pytest.mark.parametrize(
    "url",
    ["s3://bucket", "s3:///scan.zarr", "ftp://host/x", "https://host/x?token=1", "ssh://me:word@host/x", "ssh://host/"],
)
def test_what_is_no_place(project: Project, url: str) -> None:
    with pytest.raises(UsageError) as found:
        place_of(project, url)
    assert "word" not in str(found.value).replace("password", "")
    assert "token" not in str(found.value)


def test_what_lies_there(project: Project, tmp_path: Path) -> None:
    """Files of a store by their paths in it, without what DVC ignores; a single file; nothing."""
    (project.root / ".dvcignore").write_text("*.partial\n")
    store = tmp_path / "scan.zarr"
    (store / "data").mkdir(parents=True)
    for name, size in (("zarr.json", 3), ("data/0.0", 5), ("data/0.1.partial", 7)):
        (store / name).write_bytes(b"x" * size)
    (tmp_path / "scan.zarr.backup").write_bytes(b"not of it")
    found = listed(project, place_of(project, str(store)))
    assert {name: stat.size for name, stat in found.items()} == {"data/0.0": 5, "zarr.json": 3}
    assert list(listed(project, place_of(project, str(store / "zarr.json")))) == [""]
    with pytest.raises(FormatError) as error:
        listed(project, place_of(project, str(tmp_path / "scam.zarr")))
    assert error.value.code is Code.NOT_FOUND


def test_what_changes_the_digest_of_a_listing() -> None:
    """A name, a size, a mark, a time of whole seconds where there is no mark; not the order."""
    files = {"a": Stat(3, "mark", 10.0), "b": Stat(5, None, 20.2)}
    digest = listing_digest(files)
    assert listing_digest(dict(reversed(files.items()))) == digest
    assert listing_digest(files | {"b": Stat(5, None, 20.7)}) == digest
    assert listing_digest(files | {"a": Stat(3, "mark", 99.0)}) == digest
    changed = [{"a": Stat(3, "other", 10.0)}, {"a": Stat(4, "mark", 10.0)}, {"b": Stat(5, None, 21.0)}, {"c": Stat(0)}]
    assert len({listing_digest(files | one) for one in changed} | {digest}) == 5


def test_a_drive_that_is_not_mounted(project: Project, tmp_path: Path) -> None:
    """It is said as such, and nothing hangs."""
    with pytest.raises(Exception, match=os.fspath(tmp_path / "away")):
        listed(project, place_of(project, str(tmp_path / "away" / "deeper" / "scan.zarr")))
