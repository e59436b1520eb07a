"""What the contract of storages promises, on a real OpenSSH server, on WsgiDAV and on Apache's mod_dav."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from line import Line
from ssh_dav_servers import DavServer, SshServer

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import connect, loop
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, SilentFault, Storage
from emdvc.history.storage.trying import trying

pytestmark = pytest.mark.server
PATIENCE = 0.8
MIB = 1 << 20


@dataclass
class Served:
    """A server, and a line to it that a test may slow down, count and break."""

    server: SshServer | DavServer
    line: Line
    storages: list[Storage]

    def storage(self, below: str = "lab", *, patience: float = 60) -> Storage:
        storage = connect.storage_of(self.settings(below, patience))
        loop.run(storage.open())
        self.storages.append(storage)
        return storage

    def settings(self, below: str = "lab", patience: float = 60) -> RemoteSettings:
        return self.server.settings(below, port=self.line.port, patience=patience)

    def files(self) -> dict[str, int]:
        """Return what really lies on the server."""
        store = self.server.store
        return {path.relative_to(store).as_posix(): path.stat().st_size for path in store.rglob("*") if path.is_file()}


KINDS = ("ssh", "wsgidav", "apache")


def without(kind: str) -> pytest.MarkDecorator:
    """Run a test on the other servers only."""
    return pytest.mark.parametrize("served", [one for one in KINDS if one != kind], indirect=True)


@pytest.fixture(params=KINDS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    server = request.getfixturevalue({"ssh": "ssh_server"}.get(request.param, request.param))
    with Line("127.0.0.1", server.port) as line:
        if isinstance(server, SshServer):
            known = Path.home() / ".ssh" / "known_hosts"
            known.write_text(known.read_text() + f"[127.0.0.1]:{line.port} {server.host_key()}\n")
        served = Served(server, line, [])
        yield served
        for storage in served.storages:
            loop.run(storage.close())


def made(path: Path, size: int) -> tuple[Path, str]:
    """Write a file and return it with its key."""
    content = os.urandom(size)
    path.write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    return path, f"files/md5/{md5[:2]}/{md5[2:]}"


def md5_of(key: str) -> str:
    return key.replace("/", "").removeprefix("filesmd5")


def test_files_go_there_and_back_and_are_listed(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    names = ["notes.txt", "files/md5/ab/cdef", "files/md5/00/empty", "odd/näme 1+2 (3).bin", "files/md5/ab/large"]
    sizes = [10, 1000, 0, 3, 700_001]
    keys = dict(zip(names, sizes, strict=True))

    async def there_and_back() -> None:
        for key, size in keys.items():
            source, _ = made(tmp_path / "source", size)
            moved: list[int] = []
            await storage.send(source, key, advance=moved.append)
            assert sum(moved) == size
            assert await storage.read(key) == source.read_bytes()
            target = tmp_path / f"back-{size}"
            moved.clear()
            await storage.receive(key, target, moved.append)
            assert (target.read_bytes(), sum(moved)) == (source.read_bytes(), size)
        assert {key: found.size for key, found in (await storage.listing("")).items()} == keys
        listed = await storage.listing("files/md5")
        assert sorted(listed) == ["files/md5/00/empty", "files/md5/ab/cdef", "files/md5/ab/large"]
        stat = await storage.stat("files/md5/ab/cdef")
        assert stat is not None
        assert stat.size == 1000
        assert stat.modified is not None
        assert abs(stat.modified - time.time()) < 60

    loop.run(there_and_back())


def test_a_folder_that_is_nowhere_is_told(served: Served) -> None:
    with pytest.raises(EnvironmentFault, match="has no such folder") as raised:
        served.storage("lab/inner")
    assert raised.value.code == Code.REMOTE_PLACE


def test_what_is_not_there_is_no_fault(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    target = tmp_path / "target"
    target.write_bytes(b"kept")

    async def look() -> None:
        assert await storage.stat("files/md5/aa/bb") is None
        assert await storage.listing("files/md5") == {}
        await storage.remove("files/md5/aa/bb")
        with pytest.raises(FileNotFoundError, match="files/md5/aa/bb"):
            await storage.read("files/md5/aa/bb")
        with pytest.raises(FileNotFoundError, match="files/md5/aa/bb"):
            await storage.receive("files/md5/aa/bb", target)

    loop.run(look())
    assert target.read_bytes() == b"kept"


def test_parts_are_read_and_a_short_file_is_told(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    source, key = made(tmp_path / "source", 600_000)
    content = source.read_bytes()

    async def read() -> None:
        await storage.send(source, key)
        served.line.reset()
        assert await storage.read(key, 1000, 1064) == content[1000:1064]
        assert served.line.received < 20_000
        assert await storage.read(key, 299_000, 599_999) == content[299_000:599_999]
        assert await storage.read(key, 599_990) == content[599_990:]
        assert await storage.read(key, 600_000) == b""
        with pytest.raises(EnvironmentFault, match="too short") as raised:
            await storage.read(key, 599_990, 600_010)
        assert raised.value.code == Code.DATA_CORRUPT
        await storage.remove(key)
        assert await storage.stat(key) is None

    loop.run(read())


def test_an_object_takes_the_place_of_a_broken_one_and_nothing_else_stays(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    source, key = made(tmp_path / "source", 100_000)
    part, _ = made(tmp_path / "part", 300)

    async def replace() -> None:
        await storage.send(part, key)
        stat = await storage.stat(key)
        assert stat is not None
        assert stat.size == 300  # what a broken upload left would be seen by its size
        await storage.send(source, key, md5=md5_of(key))
        assert await storage.read(key) == source.read_bytes()
        with pytest.raises(EnvironmentFault, match="not what its name says"):
            await storage.send(part, key, md5=md5_of(key))
        assert await storage.read(key) == source.read_bytes()

    loop.run(replace())
    loop.run(storage.close())
    assert served.files() == {f"lab/{key}": 100_000}


def test_receiving_goes_on_where_the_file_ends(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    source, key = made(tmp_path / "source", 3 * MIB)
    target = tmp_path / "target"
    target.write_bytes(source.read_bytes()[: 2 * MIB])
    loop.run(storage.send(source, key))

    served.line.reset()
    loop.run(storage.receive(key, target))

    assert target.read_bytes() == source.read_bytes()
    assert 0.5 * MIB < served.line.received < 1.2 * MIB  # the line counts a moment after it has given


@without("wsgidav")  # which alone takes longer than the line
def test_delay_does_not_add_up_over_many_files(served: Served, tmp_path: Path) -> None:
    served.line.delay_ms = 40
    storage = served.storage()
    files = [made(tmp_path / str(number), 2000) for number in range(60)]

    async def together() -> dict[str, Any]:
        room = asyncio.Semaphore(storage.parallel)

        async def send(source: Path, key: str) -> None:
            async with room:
                await storage.send(source, key, md5=md5_of(key))

        await asyncio.gather(*(send(source, key) for source, key in files))
        return await storage.listing("files/md5")

    began = time.monotonic()
    listed = loop.run(together())
    took = time.monotonic() - began

    assert {key: found.size for key, found in listed.items()} == {key: 2000 for _, key in files}
    assert took < 60 * 0.04 * 1.5  # each needs three round trips


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_server_that_is_killed_leaves_nothing_half(served: Served, tmp_path: Path, way: str) -> None:
    size = 16 if way == "send" else 32  # more than what may lie in the line and in the system between the two
    source, key = made(tmp_path / "source", size * MIB)
    storage = served.storage(patience=20)
    target = tmp_path / "target"
    if way == "receive":
        loop.run(storage.send(source, key))
    served.line.mbit = 800
    work, reached = begun(storage, way, source, key, target, 4 * MIB)
    assert reached.wait(20)
    served.server.kill()

    with pytest.raises(InterruptedFault) as raised:
        work.result(30)
    assert raised.value.hint is not None
    if way == "send":
        assert f"lab/{key}" not in served.files()
    served.line.reset()
    served.server.start()

    async def again() -> None:
        if way == "send":
            await trying(lambda: storage.send(source, key, md5=md5_of(key)))
            assert await storage.read(key) == source.read_bytes()
        else:
            await trying(lambda: storage.receive(key, target))

    loop.run(again())
    if way == "receive":
        assert target.read_bytes() == source.read_bytes()
        assert served.line.received < 31 * MIB
    elif isinstance(served.server, SshServer):
        assert served.line.sent < 15.5 * MIB


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_frozen_server_is_told_within_the_patience(served: Served, tmp_path: Path, way: str) -> None:
    source, key = made(tmp_path / "source", (20 if way == "send" else 32) * MIB)
    storage = served.storage(patience=PATIENCE)
    target = tmp_path / "target"
    if way == "receive":
        loop.run(storage.send(source, key))
    served.line.mbit = 800
    work, reached = begun(storage, way, source, key, target, 4 * MIB)
    assert reached.wait(20)
    served.server.freeze()
    began = time.monotonic()
    try:
        with pytest.raises(SilentFault) as raised:
            work.result(30)
        loop.run(storage.close())
        assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 2.5
        assert raised.value.code == Code.REMOTE_SILENT
        assert f"nothing moved for {PATIENCE:g} s while" in str(raised.value)
    finally:
        served.server.thaw()
    if way == "send":
        assert f"lab/{key}" not in served.files()


def begun(
    storage: Storage, way: str, source: Path, key: str, target: Path, after: int
) -> tuple[Future[None], threading.Event]:
    """Begin a transfer; the event comes when so many bytes have gone."""
    reached = threading.Event()
    moved = 0

    def advance(count: int) -> None:
        nonlocal moved
        moved += count
        if moved >= after:
            reached.set()

    work: Coroutine[Any, Any, None]
    if way == "send":
        work = storage.send(source, key, md5=md5_of(key), advance=advance)
    else:
        work = storage.receive(key, target, advance)
    return loop.start(work), reached


@pytest.mark.parametrize("served", ["ssh"], indirect=True)  # of the others all goes into the system's buffers at once
def test_a_slow_line_is_not_taken_for_silence(served: Served, tmp_path: Path) -> None:
    served.line.mbit = 16
    storage = served.storage(patience=PATIENCE)
    files = [made(tmp_path / str(number), 200_000) for number in range(18)]

    async def together() -> None:
        await asyncio.gather(*(storage.send(source, key) for source, key in files))

    began = time.monotonic()
    loop.run(together())
    assert time.monotonic() - began > 2 * PATIENCE


@without("apache")
@pytest.mark.parametrize("stage", ["connecting", "looking", "closing"])
def test_a_frozen_server_is_told_at_every_stage(served: Served, stage: str) -> None:
    if stage == "connecting":
        served.server.freeze()
    try:
        began = time.monotonic()
        if stage == "connecting":
            with pytest.raises(SilentFault, match="nothing moved"):
                served.storage(patience=PATIENCE)
        else:
            storage = served.storage(patience=PATIENCE)
            served.server.freeze()
            began = time.monotonic()
            if stage == "looking":
                with pytest.raises(SilentFault, match="while looking for files/md5/aa"):
                    loop.run(storage.stat("files/md5/aa"))
            loop.run(storage.close())
        assert time.monotonic() - began < PATIENCE + 2.5
    finally:
        served.server.thaw()


def test_a_line_that_breaks_is_made_again(served: Served, tmp_path: Path) -> None:
    storage = served.storage()
    source, key = made(tmp_path / "source", 8 * MIB)
    served.line.cut(after=3 * MIB)

    loop.run(trying(lambda: storage.send(source, key, md5=md5_of(key))))

    assert loop.run(storage.read(key)) == source.read_bytes()


def test_what_ended_tries_have_left_goes_after_some_days(served: Served, tmp_path: Path) -> None:
    source, key = made(tmp_path / "source", 100)
    loop.run(served.storage().send(source, key))
    parts = served.server.store / "lab" / "emdvc-tmp"
    for name, days in (("old.part", 8), ("new.part", 6), ("old.txt", 8)):
        (parts / name).write_bytes(b"left")
        os.utime(parts / name, (time.time() - days * 86400,) * 2)

    storage = served.storage()
    loop.run(storage.send(source, key))
    loop.run(storage.close())

    assert {path.name for path in parts.iterdir()} == {"new.part", "old.txt"}


def test_wrong_places_and_silent_ports_are_told(served: Served) -> None:
    served.line.cut(stay=True)
    with pytest.raises(EnvironmentFault):
        served.storage()
    served.line.mend()

    settings = served.server.settings("lab", port=1)
    with pytest.raises(EnvironmentFault, match="takes no connections") as raised:
        loop.run(connect.storage_of(settings).open())
    assert not isinstance(raised.value, InterruptedFault)  # nobody has to wait for tries that cannot help
    url = settings.url.replace("127.0.0.1", "no-such-host.invalid")
    with pytest.raises(EnvironmentFault, match="host name that nobody knows"):
        loop.run(connect.storage_of(RemoteSettings("lab", url, settings.options)).open())
