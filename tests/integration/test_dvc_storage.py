"""Remotes of kinds without a driver of our own, through DVC's file systems: here its S3, and a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from line import Line
from servers import S3Server

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.dvc_storage import DvcStorage
from emdvc.history.storage import connect, loop
from emdvc.history.storage.contract import RemoteSettings, SilentFault

pytestmark = pytest.mark.server


@pytest.fixture(params=["s3", "folder"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteSettings:
    """Return the settings of an empty place of each kind."""
    if request.param == "folder":
        return RemoteSettings("lab", str(tmp_path / "remote"))
    server: S3Server = request.getfixturevalue("s3_server")
    options = {
        "endpointurl": server.endpoint,
        "region": "us-east-1",
        "access_key_id": "testing",
        "secret_access_key": "testing",
    }
    return RemoteSettings("lab", f"s3://{server.bucket}/{request.node.name.strip(']').replace('[', '-')}", options)


def on(settings: RemoteSettings, work: Callable[[DvcStorage], Coroutine[Any, Any, None]]) -> None:
    """Do work with an open storage."""

    async def do() -> None:
        storage = DvcStorage(settings)
        await storage.open()
        try:
            await work(storage)
        finally:
            await storage.close()

    loop.run(do())


def test_round_trip(settings: RemoteSettings, tmp_path: Path) -> None:
    """What every driver does, this one does."""
    source, target = tmp_path / "source", tmp_path / "target"
    content = os.urandom(5_000_000)
    source.write_bytes(content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    key = "files/md5/aa/bb"

    async def work(storage: DvcStorage) -> None:
        assert await storage.stat(key) is None
        assert await storage.listing("files") == {}
        moved: list[int] = []
        await storage.send(source, key, md5=md5, advance=moved.append)
        assert sum(moved) == len(content)
        found = await storage.stat(key)
        assert found is not None
        assert found.size == len(content)
        assert await storage.stat("files/md5") is None
        assert {name: each.size for name, each in (await storage.listing("files")).items()} == {key: len(content)}
        assert {name: each.size for name, each in (await storage.listing("")).items()} == {key: len(content)}
        assert await storage.read(key) == content
        assert await storage.read(key, 10, 20) == content[10:20]
        assert await storage.read(key, 4_999_990) == content[-10:]
        assert await storage.read(key, 5_000_000) == b""
        with pytest.raises(EnvironmentFault, match="too short"):
            await storage.read(key, 0, 5_000_001)
        target.write_bytes(content[:1_000_000])
        await storage.receive(key, target)
        await storage.receive(key, target)
        assert target.read_bytes() == content
        with pytest.raises(EnvironmentFault, match="not what its name says") as wrong:
            await storage.send(source, "files/md5/00/0", md5="0" * 32)
        assert wrong.value.code is Code.DATA_CORRUPT
        await storage.remove(key)
        await storage.remove(key)
        assert await storage.stat(key) is None
        for asked in (storage.read(key), storage.read(key, 1, 2), storage.receive(key, tmp_path / "none")):
            with pytest.raises(FileNotFoundError, match=key):
                await asked

    on(settings, work)


def test_a_silent_line_ends_in_an_error(s3_server: S3Server) -> None:
    """Whatever the library behind it would wait for."""
    with Line("127.0.0.1", int(s3_server.endpoint.rpartition(":")[2])) as line:
        options = {
            "endpointurl": f"http://{line.address}",
            "region": "us-east-1",
            "access_key_id": "testing",
            "secret_access_key": "testing",
        }

        async def work(storage: DvcStorage) -> None:
            line.freeze()
            with pytest.raises(SilentFault, match="does not answer any more"):
                await storage.stat("any")

        on(RemoteSettings("lab", f"s3://{s3_server.bucket}/silent", options, 1), work)
        line.cut(stay=True)
        line.thaw()


def test_a_kind_without_its_package_says_which_one_is_needed() -> None:
    """It is found for each scheme that has no driver, and fails in words."""
    storage = connect.storage_of(RemoteSettings("lab", "oss://bucket/place"))
    assert isinstance(storage, DvcStorage)
    with pytest.raises(EnvironmentFault, match="needs a package that is not installed") as found:
        loop.run(storage.open())
    assert found.value.hint == "pip install dvc-oss"
    with pytest.raises(EnvironmentFault, match="has settings that do not fit"):
        loop.run(connect.storage_of(RemoteSettings("lab", "nonsense://a")).open())
