"""Reading from web servers: nginx, one that gives only whole files, one behind a line."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from line import Line
from web_servers import WebServer

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import loop
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, SilentFault, Stat
from emdvc.history.storage.http import HttpStorage
from emdvc.history.storage.remote import Arrived, Remote, key_of
from emdvc.history.storage.trying import trying

pytestmark = pytest.mark.server

_T = TypeVar("_T")


@pytest.fixture(params=["nginx", "plain_web"])
def web(request: pytest.FixtureRequest) -> WebServer:
    """Return each server, with one file of 3 MB."""
    server: WebServer = request.getfixturevalue(request.param)
    (server.files / "xy").mkdir(exist_ok=True)
    (server.files / "xy" / "a b").write_bytes(os.urandom(3_000_000))
    (server.files / "empty").write_bytes(b"")
    return server


def on(url: str, work: Callable[[HttpStorage], Coroutine[Any, Any, _T]], patience: float = 20, **options: str) -> _T:
    """Do work with an open storage."""

    async def do() -> _T:
        storage = HttpStorage(RemoteSettings("web", url, options, patience))
        await storage.open()
        try:
            return await work(storage)
        finally:
            await storage.close()

    return loop.run(do())


def test_reads_whole_and_in_part(web: WebServer, tmp_path: Path) -> None:
    """The bytes are the right ones, from a server that knows parts and from one that does not."""
    content = (web.files / "xy" / "a b").read_bytes()

    async def work(storage: HttpStorage) -> None:
        found = await storage.stat("xy/a b")
        assert found is not None
        assert found.size == len(content)
        assert found.modified == pytest.approx((web.files / "xy" / "a b").stat().st_mtime, abs=1)
        assert await storage.read("xy/a b") == content
        assert await storage.read("xy/a b", 1_000_000, 1_000_003) == content[1_000_000:1_000_003]
        assert await storage.read("xy/a b", 2_999_999) == content[-1:]
        assert await storage.read("xy/a b", 3_000_000) == b""
        assert await storage.read("xy/a b", 5, 5) == b""
        assert await storage.read("empty") == b""
        with pytest.raises(EnvironmentFault, match="too short") as short:
            await storage.read("xy/a b", 0, 3_000_001)
        assert short.value.code is Code.DATA_CORRUPT
        target = tmp_path / "target"
        moved: list[int] = []
        target.write_bytes(content[:1_234_567])
        await storage.receive("xy/a b", target, moved.append)
        assert target.read_bytes() == content
        assert sum(moved) == len(content) - 1_234_567
        await storage.receive("xy/a b", target)
        assert target.read_bytes() == content

    on(web.url, work)


def test_what_is_not_there(web: WebServer, tmp_path: Path) -> None:
    """A missing file is no fault of the server."""

    async def work(storage: HttpStorage) -> Stat | None:
        for asked in (storage.read("none"), storage.read("none", 3, 3), storage.receive("none", tmp_path / "none")):
            with pytest.raises(FileNotFoundError, match="/none"):
                await asked
        return await storage.stat("none")

    assert on(web.url, work) is None


def test_it_only_gives(web: WebServer, tmp_path: Path) -> None:
    """Sending, removing and listing are refused in words."""
    source = tmp_path / "source"
    source.write_bytes(b"a")

    async def work(storage: HttpStorage) -> None:
        assert not storage.lists
        for asked in (storage.send(source, "new"), storage.remove("xy/a b")):
            with pytest.raises(EnvironmentFault, match=r"the remote web .* is read-only") as found:
                await asked
            assert found.value.code is Code.REMOTE_REFUSED
        with pytest.raises(EnvironmentFault, match="cannot list"):
            await storage.listing("xy")

    on(web.url, work)
    assert not (web.files / "new").exists()
    assert (web.files / "xy" / "a b").exists()


def test_a_remote_on_a_web_server_is_asked_for_each_object(nginx: WebServer, tmp_path: Path) -> None:
    """What DVC's layout holds there is found without a listing, and fetched checked."""
    contents = [os.urandom(1000) for _ in range(40)]
    md5s = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents]
    md5s = ["aa" + md5[2:] for md5 in md5s[:5]] + md5s[5:]  # so many under the same letters that a listing would pay
    for md5, content in zip(md5s, contents, strict=True):
        path = nginx.files / "lab" / key_of(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    remote = Remote(RemoteSettings("web", f"{nginx.url}/lab"))

    async def work() -> None:
        there = await remote.there([*md5s, "aa" + "0" * 30])
        assert {md5: stat.size for md5, stat in there.items()} == dict.fromkeys(md5s, 1000)
        assert await remote.fetch(md5s[7], tmp_path / "good") is Arrived.GOOD
        assert await remote.fetch(md5s[0], tmp_path / "corrupt") is Arrived.CORRUPT
        await remote.close()

    loop.run(work())
    assert (tmp_path / "good").read_bytes() == contents[7]


def test_user_and_password(nginx: WebServer) -> None:
    """They are sent as DVC's settings say; without them the error names the way to set them."""
    (nginx.files / "closed file").write_bytes(b"secret")

    async def read(storage: HttpStorage) -> bytes:
        return await storage.read("closed file")

    assert on(f"{nginx.url}/closed", read, auth="basic", user="reader", password="pass word") == b"secret"
    assert on(f"{nginx.url}/keyed", read, auth="custom", custom_auth_header="X-Token", password="secret") == b"secret"
    for options in ({}, {"auth": "basic", "user": "reader", "password": "wrong"}):
        with pytest.raises(EnvironmentFault, match="does not let us in") as found:
            on(f"{nginx.url}/closed", read, **options)
        assert found.value.code is Code.REMOTE_REFUSED
        assert "401" in str(found.value.evidence)
        assert "--user NAME --ask-password" in str(found.value.hint)


def test_a_busy_server_is_worth_another_try(nginx: WebServer) -> None:
    """An answer that says "later" is told apart from one that says "no"."""

    async def read(storage: HttpStorage) -> bytes:
        return await storage.read("any")

    with pytest.raises(InterruptedFault, match="failed"):
        on(f"{nginx.url}/busy", read)


def test_receiving_goes_on_after_a_cut(nginx: WebServer, tmp_path: Path) -> None:
    """What had arrived when the line broke is not fetched again."""
    content = os.urandom(20 << 20)
    (nginx.files / "large").write_bytes(content)
    target = tmp_path / "large"
    with Line("127.0.0.1", nginx.port) as line:
        line.cut(after=8 << 20)
        on(f"http://{line.address}", lambda storage: trying(lambda: storage.receive("large", target)))
        assert line.connections == 2
        assert line.received < (20 + 6) << 20
    assert target.read_bytes() == content


@pytest.mark.parametrize("doing", ["stat", "read"])
def test_a_silent_line_ends_in_an_error(nginx: WebServer, doing: str) -> None:
    """Within the patience, before the first byte and in the middle."""
    (nginx.files / "large").write_bytes(bytes(20 << 20))
    with Line("127.0.0.1", nginx.port) as line:
        line.freeze(after=0 if doing == "stat" else 4 << 20)
        begun = time.monotonic()
        with pytest.raises(SilentFault, match="does not answer any more"):
            on(f"http://{line.address}", lambda storage: getattr(storage, doing)("large"), patience=1)
        assert time.monotonic() - begun < 4
        line.thaw()


def test_no_server_no_host() -> None:
    """A closed port and an unknown name are told apart."""

    async def look(storage: HttpStorage) -> Stat | None:
        return await storage.stat("any")

    with pytest.raises(InterruptedFault, match="takes no connections") as refused:
        on("http://127.0.0.1:9", look)
    assert "nothing listens at 127.0.0.1:9" in str(refused.value.evidence)
    with pytest.raises(EnvironmentFault, match="host that is not known here"):
        on("http://no-such-host.invalid", look)
