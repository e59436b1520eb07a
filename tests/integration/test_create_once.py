"""Of many who put the same object at the same time one succeeds, on every kind of storage that promises it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from s3_servers import CephS3
from servers import S3Server
from ssh_dav_servers import DavServer, SshServer

from emdvc.errors import EnvironmentFault
from emdvc.history.storage import folder_creating, loop
from emdvc.history.storage.connect import storage_of
from emdvc.history.storage.contract import RemoteSettings

_ONE = """
import json, sys
from emdvc.history.storage import loop
from emdvc.history.storage.connect import storage_of
from emdvc.history.storage.contract import RemoteSettings
settings = RemoteSettings(**json.loads(sys.argv[1]))

async def work():
    storage = storage_of(settings)
    await storage.open()
    print("ready", flush=True)
    sys.stdin.readline()
    won = [await storage.create(f"emdvc-locks/x/{number}", sys.argv[2].encode()) for number in range(int(sys.argv[3]))]
    await storage.close()
    return won

print(json.dumps(loop.run(work())), flush=True)
"""


def _race(settings: RemoteSettings, processes: int = 8, objects: int = 5) -> list[list[bool]]:
    """Let processes put the same objects at once; return of each object who says that it was the one."""
    said = {"name": settings.name, "url": settings.url, "options": settings.options}
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", _ONE, json.dumps(said), f"mine {number}", str(objects)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    try:
        for one in racing:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in racing:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = [json.loads(one.communicate(timeout=60)[0]) for one in racing]
    finally:
        for one in racing:
            one.kill()
            one.communicate()
    return [list(one) for one in zip(*answers, strict=True)]


def _one_winner(settings: RemoteSettings, processes: int = 8) -> None:
    won = _race(settings, processes)
    assert [sum(one) for one in won] == [1] * len(won)

    async def look() -> list[bytes]:
        storage = storage_of(settings)
        await storage.open()
        try:
            assert sorted(await storage.listing("emdvc-locks")) == [f"emdvc-locks/x/{n}" for n in range(len(won))]
            assert await storage.listing("emdvc-tmp") == {}  # nothing is left behind
            return [await storage.read(f"emdvc-locks/x/{number}") for number in range(len(won))]
        finally:
            await storage.close()

    assert loop.run(look()) == [f"mine {one.index(True)}".encode() for one in won]


def test_a_folder(tmp_path: Path) -> None:
    _one_winner(RemoteSettings("lab", str(tmp_path / "store")))


def test_a_folder_on_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # such a disk cannot be mounted here: its way is gone as the disk's answer would lead to it
    monkeypatch.setattr(folder_creating, "link", lambda passing, target: None)
    made = []

    async def work() -> None:
        storages = [storage_of(RemoteSettings("lab", str(tmp_path / "store"))) for _ in range(8)]
        for number in range(5):
            made.append(
                await asyncio.gather(*(one.create(f"x/{number}", bytes([i])) for i, one in enumerate(storages)))
            )

    loop.run(work())
    assert [sum(one) for one in made] == [1] * 5
    assert [(tmp_path / "store" / "x" / str(n)).read_bytes() for n in range(5)] == [
        bytes([one.index(True)]) for one in made
    ]
    assert sorted(path.name for path in (tmp_path / "store" / "x").iterdir()) == [str(n) for n in range(5)]


@pytest.mark.server
def test_ssh(ssh_server: SshServer) -> None:
    _one_winner(ssh_server.settings())


@pytest.mark.server
@pytest.mark.parametrize("kind", ["wsgidav", "apache"])
def test_webdav(kind: str, request: pytest.FixtureRequest) -> None:
    server: DavServer = request.getfixturevalue(kind)
    _one_winner(server.settings())


@pytest.mark.server
def test_ceph(ceph_s3: CephS3) -> None:
    # each process loads what speaks S3, which takes a second
    _one_winner(RemoteSettings("lab", f"s3://{ceph_s3.bucket}/once", ceph_s3.options()), processes=4)


@pytest.mark.server
def test_a_service_that_looks_at_no_conditions_says_so(s3_remote: str, s3_server: S3Server) -> None:
    """Older services take what they are told not to take; a proxy that drops the condition stands in for them."""
    with _careless(s3_server.endpoint) as endpoint:
        options = {"endpointurl": endpoint, "region": "us-east-1", "access_key_id": "x", "secret_access_key": "y"}

        async def work() -> list[str]:
            storage = storage_of(RemoteSettings("lab", s3_remote, options))
            await storage.open()
            try:
                with pytest.raises(EnvironmentFault, match="cannot keep locks") as caught:
                    await storage.create("emdvc-locks/x", b"mine")
                assert "overwrites" in str(caught.value.evidence)
                return list(await storage.listing("emdvc-locks"))
            finally:
                await storage.close()

        assert loop.run(work()) == []


@contextmanager
def _careless(behind: str) -> Iterator[str]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep still."""

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = {
                name: text
                for name, text in self.headers.items()
                if name.lower() not in ("if-none-match", "host", "content-length", "connection")
            }
            request = urllib.request.Request(behind + self.path, body or None, kept, method=self.command)
            try:
                answer = urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                content = answer.read()
                self.send_response(answer.status)
                for name, text in answer.headers.items():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, text)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _pass  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_web_server_and_the_kinds_behind_dvc_say_that_they_cannot() -> None:
    for url, why in (("https://example.org/data", "over HTTP nothing can be written"), ("gs://bucket/x", "gs is used")):

        async def work(url: str = url, why: str = why) -> None:
            storage = storage_of(RemoteSettings("web", url))
            with pytest.raises(EnvironmentFault, match="cannot keep locks") as caught:
                await storage.create("emdvc-locks/x", b"mine")
            assert str(caught.value.evidence).startswith(why)

        loop.run(work())
