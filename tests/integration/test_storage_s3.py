"""Objects on S3 services: moto's, and a real Ceph gateway where one is installed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from line import Line
from s3_servers import CephS3
from servers import S3Server

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage import loop
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, SilentFault
from emdvc.history.storage.s3 import S3Storage
from emdvc.history.storage.trying import trying

pytestmark = pytest.mark.server

_T = TypeVar("_T")
Work = Callable[[S3Storage], Coroutine[Any, Any, _T]]
MIB = 1 << 20


@pytest.fixture(params=["moto", "ceph"])
def service(request: pytest.FixtureRequest) -> RemoteSettings:
    """Return the settings of an empty place on each service."""
    if request.param == "moto":
        moto: S3Server = request.getfixturevalue("s3_server")
        keys = {"access_key_id": "testing", "secret_access_key": "testing", "region": "us-east-1"}
        options, bucket = {"endpointurl": moto.endpoint, **keys}, moto.bucket
    else:
        ceph: CephS3 = request.getfixturevalue("ceph_s3")
        options, bucket = ceph.options(), ceph.bucket
    place = request.node.name.replace("[", "-").strip("]")
    return RemoteSettings("lab", f"s3://{bucket}/{place}", options, 20)


@pytest.fixture
def large_service(request: pytest.FixtureRequest) -> RemoteSettings:
    """Return the settings of an empty place for large files: on Ceph where it is installed, else on moto."""
    moto: S3Server = request.getfixturevalue("s3_server")
    keys = {"access_key_id": "testing", "secret_access_key": "testing", "region": "us-east-1"}
    options = {"endpointurl": moto.endpoint, **keys}
    if not CephS3.lacking():
        options = request.getfixturevalue("ceph_s3").options()
    return RemoteSettings("lab", f"s3://{moto.bucket}/{request.node.name}", options, 20)


@pytest.fixture
def ceph(ceph_s3: CephS3, request: pytest.FixtureRequest) -> RemoteSettings:
    """Return the settings of an empty place on Ceph."""
    return RemoteSettings("lab", f"s3://{ceph_s3.bucket}/{request.node.name}", ceph_s3.options(), 20)


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    """Return a line to the service of the test."""
    name = "large_service" if "large_service" in request.fixturenames else "service"
    service: RemoteSettings = request.getfixturevalue(name)
    with Line("127.0.0.1", int(service.options["endpointurl"].rpartition(":")[2])) as found:
        yield found


def through(settings: RemoteSettings, line: Line, **more: Any) -> RemoteSettings:
    """Return settings that go over a line."""
    options = {**settings.options, "endpointurl": f"http://{line.address}", **more}
    return RemoteSettings(settings.name, settings.url, options, settings.patience)


def within(settings: RemoteSettings, patience: float, **more: str) -> RemoteSettings:
    """Return settings with another patience and other options."""
    return RemoteSettings(settings.name, settings.url, {**settings.options, **more}, patience)


def on(settings: RemoteSettings, work: Work[_T]) -> _T:
    """Do work with an open storage."""

    async def do() -> _T:
        storage = S3Storage(settings)
        await storage.open()
        try:
            return await work(storage)
        finally:
            await storage.close()

    return loop.run(do())


def made(path: Path, size: int) -> str:
    """Make a file of any content and return its md5."""
    content = os.urandom(size)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_round_trip(service: RemoteSettings, line: Line, tmp_path: Path) -> None:
    """What was sent is there, with its size and mark, and comes back whole, in parts, and from the middle on."""
    source = tmp_path / "pattern"
    md5 = made(source, 300_000)
    content = source.read_bytes()

    async def work(storage: S3Storage) -> None:
        assert await storage.stat("files/md5/aa/bb") is None
        assert await storage.listing("files") == {}
        line.reset()
        await storage.send(source, "files/md5/aa/bb", md5=md5)
        assert len(line.requests) == 1, "the answer to PUT says all that is to be known"
        found = await storage.stat("files/md5/aa/bb")
        assert found is not None
        assert (found.size, found.etag) == (300_000, md5)
        assert found.modified is not None
        assert abs(found.modified - time.time()) < 60
        assert await storage.read("files/md5/aa/bb") == content
        assert await storage.read("files/md5/aa/bb", 1000, 1001) == content[1000:1001]
        assert await storage.read("files/md5/aa/bb", 299_000) == content[299_000:]
        assert await storage.read("files/md5/aa/bb", 300_000) == b""
        listed = await storage.listing("files/md5")
        assert {key: stat.size for key, stat in listed.items()} == {"files/md5/aa/bb": 300_000}
        whole, begun = tmp_path / "whole", tmp_path / "begun"
        begun.write_bytes(content[:123_457])
        moved: list[int] = []
        line.reset()
        await storage.receive("files/md5/aa/bb", whole, moved.append)
        await storage.receive("files/md5/aa/bb", begun)
        await storage.receive("files/md5/aa/bb", begun)  # it is whole: nothing comes
        assert whole.read_bytes() == begun.read_bytes() == content
        assert sum(moved) == 300_000
        assert line.received < 300_000 + 180_000, "what was here already came again"
        await storage.remove("files/md5/aa/bb")
        await storage.remove("files/md5/aa/bb")
        assert await storage.stat("files/md5/aa/bb") is None

    on(through(service, line), work)


def test_absent_and_short_objects(service: RemoteSettings, tmp_path: Path) -> None:
    """An object that is not there, or is shorter than asked for, is told apart from a fault of the service."""
    source = tmp_path / "empty"
    source.write_bytes(b"")

    async def work(storage: S3Storage) -> None:
        target = tmp_path / "target"
        target.write_bytes(b"begun")
        for asked in (storage.read("none"), storage.read("none", 5, 10), storage.receive("none", target)):
            with pytest.raises(FileNotFoundError, match="/none"):
                await asked
        assert target.read_bytes() == b"begun"
        await storage.send(source, "empty")
        assert await storage.read("empty") == b""
        with pytest.raises(EnvironmentFault, match="too short") as short:
            await storage.read("empty", 0, 1)
        assert short.value.code is Code.DATA_CORRUPT

    on(service, work)


def test_listing_has_pages(service: RemoteSettings, tmp_path: Path) -> None:
    """More objects than one answer holds are all listed; names are kept as they are."""
    source = tmp_path / "a"
    source.write_bytes(b"a")
    names = [f"many/{number:04}" for number in range(1030)] + ["many/with space+%41/ä"]

    async def work(storage: S3Storage) -> None:
        await asyncio.gather(*(storage.send(source, name) for name in names))
        assert sorted(await storage.listing("many")) == sorted(names)
        assert await storage.listing("man") == {}

    on(service, work)


def test_a_file_that_is_not_what_its_name_says_is_not_sent(service: RemoteSettings, tmp_path: Path) -> None:
    """Neither small nor in parts; nothing of it stays on the service."""

    async def work(storage: S3Storage) -> None:
        for size in (10, 65 * MIB):
            source = tmp_path / "wrong"
            made(source, size)
            with pytest.raises(EmdvcError, match="not what its name says") as found:
                await storage.send(source, "wrong", md5="0" * 32)
            assert found.value.code is Code.DATA_CORRUPT
        assert await storage.stat("wrong") is None
        answer = await storage.client.list_multipart_uploads(Bucket=storage.bucket)
        assert not [each for each in answer.get("Uploads", ()) if each["Key"].endswith("/wrong")]

    on(service, work)


def test_receiving_goes_on_after_a_cut(service: RemoteSettings, line: Line, tmp_path: Path) -> None:
    """What had arrived when the line broke is not fetched again."""
    source, target = tmp_path / "source", tmp_path / "target"
    made(source, 24 * MIB)

    async def work(storage: S3Storage) -> None:
        await storage.send(source, "large")
        line.reset()
        line.cut(after=9 * MIB, direction="down")
        with pytest.raises(InterruptedFault):
            await storage.receive("large", target)
        assert target.stat().st_size > 8 * MIB
        line.cut(after=9 * MIB, direction="down")
        await trying(lambda: storage.receive("large", target))
        assert target.read_bytes() == source.read_bytes()
        assert line.received < 25 * MIB + 2 * 4 * MIB  # what was under way at each cut comes again

    on(through(service, line), work)


def test_sending_goes_on_after_cuts(large_service: RemoteSettings, line: Line, tmp_path: Path) -> None:
    """A large file arrives over a line that breaks again and again; only parts under way are sent again."""
    source, target = tmp_path / "source", tmp_path / "target"
    md5 = made(source, 120 * MIB)

    async def work(storage: S3Storage) -> None:
        line.reset()
        line.cut(after=80 * MIB, direction="up")
        await trying(lambda: storage.send(source, "large", md5=md5))
        assert len({upload(request.path) for request in line.asked("PUT")}) == 1
        assert line.sent <= (120 + 8 * 16) * MIB, "more than one part for each connection was sent twice"
        await storage.receive("large", target)
        assert target.read_bytes() == source.read_bytes()

    on(through(large_service, line), work)


def upload(path: str) -> str:
    """Return the upload that a request belongs to."""
    return path.partition("uploadId=")[2].partition("&")[0]


_SENDER = """
import json, sys
from pathlib import Path
from emdvc.history.storage import loop
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.s3 import S3Storage
from emdvc.history.storage.trying import trying

url, options, source, md5 = json.loads(sys.argv[1])

async def work():
    storage = S3Storage(RemoteSettings("lab", url, options, 20))
    await storage.open()
    try:
        await trying(lambda: storage.send(Path(source), "large", md5=md5))
    finally:
        await storage.close()

loop.run(work())
"""


def sender(settings: RemoteSettings, source: Path, md5: str) -> subprocess.Popen[bytes]:
    """Start a process that sends a file."""
    import json

    said = json.dumps([settings.url, settings.options, str(source), md5])
    return subprocess.Popen([sys.executable, "-W", "error", "-c", _SENDER, said], stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Wait for a process and return its status and what it complained of: connections left open, for one."""
    _, complained = process.communicate(timeout=120)
    return process.returncode, complained


def test_sending_goes_on_after_the_client_was_killed(large_service: RemoteSettings, line: Line, tmp_path: Path) -> None:
    """Another process goes on with the parts that the large_service has; nothing of the first try is left over."""
    source, target = tmp_path / "source", tmp_path / "target"
    md5 = made(source, 160 * MIB)
    settings = through(large_service, line)
    process = sender(settings, source, md5)
    until = time.monotonic() + 60
    while line.sent < 110 * MIB and time.monotonic() < until and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    ended(process)
    before = line.sent
    assert before < 155 * MIB, "it was killed too late to show anything"

    async def look(storage: S3Storage) -> int:
        assert await storage.stat("large") is None, "half an object shows"
        key = storage.named("large")
        found = await storage.client.list_multipart_uploads(Bucket=storage.bucket, Prefix=key["Key"])
        parts = await storage.client.list_parts(**key, UploadId=found["Uploads"][0]["UploadId"])
        return len(parts.get("Parts", ()))

    kept = on(large_service, look)
    assert kept >= 1
    line.reset()
    again = sender(settings, source, md5)
    assert ended(again) == (0, b"")
    assert len(line.asked("PUT")) == 10 - kept
    assert before + line.sent <= (160 + 8 * 16 + 1) * MIB

    async def check(storage: S3Storage) -> None:
        await storage.receive("large", target)
        assert target.read_bytes() == source.read_bytes()
        uploads = await storage.client.list_multipart_uploads(Bucket=storage.bucket)
        assert not [each for each in uploads.get("Uploads", ()) if each["Key"] == storage.named("large")["Key"]]

    on(large_service, check)


def test_two_clients_send_the_same_at_once(large_service: RemoteSettings, tmp_path: Path) -> None:
    """Both end well, whoever finishes, and the object is whole."""
    source, target = tmp_path / "source", tmp_path / "target"
    md5 = made(source, 70 * MIB)
    both = [sender(large_service, source, md5), sender(large_service, source, md5)]
    assert [ended(process) for process in both] == [(0, b""), (0, b"")]

    async def check(storage: S3Storage) -> None:
        await storage.receive("large", target)
        assert target.read_bytes() == source.read_bytes()

    on(large_service, check)


@pytest.mark.parametrize("when", ["before", "in the middle"])
def test_a_silent_line_ends_in_errors(service: RemoteSettings, line: Line, tmp_path: Path, when: str) -> None:
    """Whatever is under way: the error comes within the patience, and says what was going on."""
    small, large, target = tmp_path / "small", tmp_path / "large", tmp_path / "target"
    made(small, 2 * MIB)
    made(large, 66 * MIB)
    settings = within(through(service, line), 1)
    storage, other = S3Storage(settings), S3Storage(settings)

    async def work() -> list[object]:
        await storage.open()
        await storage.send(small, "small")
        if when == "before":
            line.freeze()
            asked = [other.open(), storage.stat("small"), storage.listing(""), storage.remove("small")]
        else:
            line.freeze(after=3 * MIB)
            asked = []
        asked += [storage.read("small"), storage.receive("small", target)]
        asked += [storage.send(small, "a"), storage.send(large, "b")]
        return await asyncio.gather(*asked, return_exceptions=True)

    begun = time.monotonic()
    try:
        found = loop.run(work())
        assert time.monotonic() - begun < 8
        silent = [error for error in found if isinstance(error, SilentFault)]
        assert len(silent) == len(found) if when == "before" else silent, found
        for error in silent:
            assert error.code is Code.REMOTE_SILENT
            assert "does not answer any more" in error.cause
            assert "nothing moved for 1 s while" in str(error.evidence)
    finally:
        line.thaw()
        loop.run(storage.close())


def test_a_stopped_gateway_ends_in_an_error(ceph: RemoteSettings, ceph_s3: CephS3, tmp_path: Path) -> None:
    """SIGSTOP in the middle of sending: an error within the patience; after SIGCONT the same call goes on."""
    source = tmp_path / "source"
    md5 = made(source, 80 * MIB)
    moved = 0

    async def work(storage: S3Storage) -> None:
        def advance(count: int) -> None:
            nonlocal moved
            moved += count
            if moved > 20 * MIB and not stopped:
                stopped.append(time.monotonic())
                ceph_s3.signal(signal.SIGSTOP)

        stopped: list[float] = []
        try:
            with pytest.raises(SilentFault):
                await trying(lambda: storage.send(source, "large", md5=md5, advance=advance))
            assert time.monotonic() - stopped[0] < 6
        finally:
            ceph_s3.signal(signal.SIGCONT)
        await trying(lambda: storage.send(source, "large", md5=md5))
        found = await storage.stat("large")
        assert found is not None
        assert found.size == 80 * MIB

    on(within(ceph, 2), work)


def test_a_gateway_killed_and_started_again(ceph: RemoteSettings, ceph_s3: CephS3, tmp_path: Path) -> None:
    """Sending ends in an error that says so, and then goes on with the parts that had arrived."""
    source, target = tmp_path / "source", tmp_path / "target"
    md5 = made(source, 130 * MIB)
    moved = 0
    killed: list[float] = []

    def advance(count: int) -> None:
        nonlocal moved
        moved += count
        if moved > 60 * MIB and not killed:
            killed.append(time.monotonic())
            ceph_s3.signal(signal.SIGKILL)

    async def work(storage: S3Storage) -> None:
        with pytest.raises(InterruptedFault, match=r"takes no connections|broke"):
            await trying(lambda: storage.send(source, "large", md5=md5, advance=advance))
        await asyncio.to_thread(ceph_s3.start_gateway)
        sent: list[int] = []
        await trying(lambda: storage.send(source, "large", md5=md5, advance=sent.append))
        assert moved + sum(sent) <= (130 + 8 * 16) * MIB
        await storage.receive("large", target)

    on(ceph, work)
    assert target.read_bytes() == source.read_bytes()


def test_an_upload_that_another_client_finishes(ceph: RemoteSettings, ceph_s3: CephS3, tmp_path: Path) -> None:
    """The slower one of two that share an upload finds the object there, and ends well."""
    source = tmp_path / "source"
    md5 = made(source, 70 * MIB)

    async def work(slow: S3Storage) -> None:
        fast = S3Storage(ceph)
        await fast.open()
        try:
            sending = asyncio.ensure_future(slow.send(source, "large", md5=md5))
            while len(line.asked("PUT")) < 2:
                await asyncio.sleep(0.01)
            await fast.send(source, "large", md5=md5)
            assert not sending.done(), "the slow one was not slow enough to show anything"
            line.mbit = 0
            await sending
            found = await fast.stat("large")
            assert found is not None
            assert found.size == 70 * MIB
        finally:
            await fast.close()

    with Line("127.0.0.1", ceph_s3.port, mbit=40) as line:
        on(through(ceph, line), work)
        assert len(line.asked("POST", "?uploads")) == 1, "it began anew although the object was there"


def test_an_upload_that_somebody_gives_up_is_begun_again(ceph: RemoteSettings, tmp_path: Path) -> None:
    """A clean-up of unfinished uploads on the server does not end the work."""
    source, target = tmp_path / "source", tmp_path / "target"
    md5 = made(source, 70 * MIB)
    cleaning: list[asyncio.Task[None]] = []

    async def work(storage: S3Storage) -> None:
        async def clean() -> None:
            name = storage.named("large")
            found = await storage.client.list_multipart_uploads(Bucket=storage.bucket, Prefix=name["Key"])
            for each in found.get("Uploads", ()):
                await storage.client.abort_multipart_upload(**name, UploadId=each["UploadId"])

        def advance(_: int) -> None:
            if not cleaning:
                cleaning.append(asyncio.ensure_future(clean()))

        await storage.send(source, "large", md5=md5, advance=advance)
        await cleaning[0]
        await storage.receive("large", target)

    on(ceph, work)
    assert target.read_bytes() == source.read_bytes()


def test_a_bucket_that_keeps_versions_under_lock(ceph: RemoteSettings, ceph_s3: CephS3, tmp_path: Path) -> None:
    """What is sent there is accepted, small and in parts, and has a version; removing it keeps that version."""
    ceph_s3.make_bucket("locked", ObjectLockEnabledForBucket=True)
    small, large = tmp_path / "small", tmp_path / "large"
    made(small, 1000)
    made(large, 65 * MIB)

    async def work(storage: S3Storage) -> None:
        for source in (small, large):
            await storage.send(source, source.name)
            found = await storage.stat(source.name)
            assert found is not None
            assert found.version
            await storage.remove(source.name)
            assert await storage.stat(source.name) is None
            kept = await storage.client.head_object(**storage.named(source.name), VersionId=found.version)
            assert kept["ContentLength"] == source.stat().st_size

    on(RemoteSettings("lab", "s3://locked/place", ceph.options, 20), work)
