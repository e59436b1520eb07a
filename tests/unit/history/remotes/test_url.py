"""What a person may name as a remote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emdvc.errors import EmdvcError, UsageError
from emdvc.history.remotes.url import RemoteUrl


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("/mnt/lab", "folder"),
        ("file:///mnt/the%20lab", "folder"),
        ("s3://bucket/folder", "S3"),
        ("ssh://me@host:2222/data", "SSH"),
        ("webdavs://cloud/remote.php/dav", "WebDAV"),
        ("https://data.example.org/set", "HTTP"),
    ],
)
def test_kinds(tmp_path: Path, url: str, kind: str) -> None:
    assert RemoteUrl.of("lab", url, tmp_path / "project").kind.name == kind


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert RemoteUrl.of("lab", "file:///mnt/the%20lab", tmp_path).url.endswith("/mnt/the lab")


def test_dvc_knows_small_letters_only(tmp_path: Path) -> None:
    assert RemoteUrl.of("Lab", "s3://bucket", tmp_path).name == "lab"


@pytest.mark.parametrize(
    ("name", "url", "said"),
    [
        ("", "/mnt/lab", "cannot name"),
        ("a b", "/mnt/lab", "cannot name"),
        ("lab", " ", "nowhere"),
        ("lab", "s3:///folder", "no bucket"),
        ("lab", "ssh:///folder", "no host"),
        ("lab", "ssh://host:port/folder", "no port"),
        ("lab", "webdavs://[1::/dav", "no URL"),
        ("lab", "smb://server/share", "mount"),
        ("lab", "webdva://host/x", "did you mean webdav://"),
        ("lab", "webdavs://me:secret@cloud/x", "--ask-password"),
        ("lab", "https://me:secret@host/x", "--ask-password"),
        ("lab", "s3://KEY@bucket", "--ask-password"),
    ],
)
def test_refused(tmp_path: Path, name: str, url: str, said: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        RemoteUrl.of(name, url, tmp_path)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="there it is a folder")
@pytest.mark.parametrize("url", [r"\\server\share\data", r"Z:\data", "Z:/data"])
def test_a_windows_folder_elsewhere(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="as Windows names it"):
        RemoteUrl.of("lab", url, tmp_path)


@pytest.mark.skipif(os.name != "nt", reason="Windows only")
def test_a_network_drive(tmp_path: Path) -> None:
    assert RemoteUrl.of("lab", r"\\server\share\data", tmp_path).url == "//server/share/data"
