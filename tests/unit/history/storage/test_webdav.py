"""What only a WebDAV remote can do wrong, and what its answers mean."""

from __future__ import annotations

import asyncio
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ssh_dav_servers import DavServer, SshServer, free_port, wsgidav_server

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage import loop, webdav_answers
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, Stat
from emdvc.history.storage.trying import trying
from emdvc.history.storage.webdav import WebdavStorage


def opened(settings: RemoteSettings) -> WebdavStorage:
    storage = WebdavStorage(settings)
    loop.run(storage.open())
    return storage


def refusal(settings: RemoteSettings) -> EnvironmentFault:
    """Return the error of opening a remote."""
    with pytest.raises(EnvironmentFault) as raised:
        loop.run(WebdavStorage(settings).open())
    return raised.value


def test_answers_are_read_whatever_the_prefixes_and_addresses() -> None:
    content = """<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:x="urn:x">
  <d:response><d:href>https://host/dav/a%20b/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/>
    </d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
  <d:response><d:href>/dav/a%20b/%C3%A9.bin</d:href><d:propstat><d:prop><d:getcontentlength>12</d:getcontentlength>
    <d:getetag>W/"q"</d:getetag><d:getlastmodified>Thu, 01 Jan 1970 00:01:00 GMT</d:getlastmodified><d:resourcetype/>
    </d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
    <d:propstat><d:prop><x:other/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>
</d:multistatus>"""
    assert webdav_answers.resources(content.encode()) == [
        webdav_answers.Resource("/dav/a b/", None),
        webdav_answers.Resource("/dav/a b/é.bin", Stat(12, "q", 60.0)),
    ]
    for nonsense in (b"", b"<html><body>It works!</body></html>", b"not found"):
        with pytest.raises(ValueError, match="no "):
            webdav_answers.resources(nonsense)


@pytest.mark.server
def test_wrong_names_and_passwords_are_told(wsgidav: DavServer) -> None:
    error = refusal(wsgidav.settings(password="wrong"))
    assert error.code == Code.REMOTE_REFUSED
    assert "does not let the user emdvc in" in error.cause
    assert "401" in str(error.evidence)
    assert "--ask-password" in str(error.hint)
    error = refusal(RemoteSettings("lab", wsgidav.url()))
    assert "wants to know who we are" in error.cause


@pytest.mark.server
def test_plain_web_servers_are_told(tmp_path: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        error = refusal(RemoteSettings("lab", f"webdav://127.0.0.1:{server.server_port}/dav"))
        server.shutdown()
        thread.join()
    assert error.code == Code.REMOTE_PLACE
    assert "is no WebDAV folder" in error.cause


@pytest.mark.server
def test_certificates_are_checked(tmp_path: Path) -> None:
    server = wsgidav_server(tmp_path / "state", secure=True)
    server.start()
    try:
        error = refusal(server.settings())
        assert error.code == Code.REMOTE_UNTRUSTED
        assert "self-signed" in str(error.evidence)
        assert "ssl_verify" in str(error.hint)
        for said in (str(server.state / "cert.pem"), "false"):
            storage = opened(server.settings(ssl_verify=said))
            source = tmp_path / "source"
            source.write_bytes(os.urandom(100_000))
            loop.run(storage.send(source, "files/md5/ab/cd"))
            assert loop.run(storage.read("files/md5/ab/cd")) == source.read_bytes()
            loop.run(storage.close())
        error = refusal(server.settings(ssl_verify=str(tmp_path / "none.pem")))
        assert "certificate that cannot be read" in error.cause
        local = replace(server.settings(), url=server.url().replace("127.0.0.1", "localhost"))
        assert refusal(replace(local, options=local.options | {"ssl_verify": str(server.state / "cert.pem")})).code == (
            Code.REMOTE_UNTRUSTED
        )
    finally:
        server.stop()


@pytest.mark.server
def test_an_upload_of_plain_dvc_that_was_killed_is_seen_by_its_size(wsgidav: DavServer, tmp_path: Path) -> None:
    storage = opened(wsgidav.settings("lab"))
    half = wsgidav.store / "lab" / "files" / "md5" / "ab"
    half.mkdir(parents=True)
    (half / "cdef").write_bytes(b"half")

    assert loop.run(storage.listing("files/md5"))["files/md5/ab/cdef"].size == 4
    stat = loop.run(storage.stat("files/md5/ab/cdef"))
    assert stat is not None
    assert stat.size == 4
    loop.run(storage.close())


class Says(http.server.BaseHTTPRequestHandler):
    """A server that answers each method with one number, and as a WebDAV server where that is 207."""

    protocol_version = "HTTP/1.1"
    numbers: dict[str, int]
    seen: list[tuple[str, dict[str, str]]]

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.seen.append((self.command, dict(self.headers)))
        number = self.numbers.get(self.command, 200)
        body = b"0123456789"
        if number == 207:
            body = (
                f'<D:multistatus xmlns:D="DAV:"><D:response><D:href>{self.path}</D:href><D:propstat><D:prop>'
                "<D:getcontentlength>10</D:getcontentlength><D:resourcetype/></D:prop></D:propstat></D:response>"
                "</D:multistatus>"
            ).encode()
        self.send_response(number)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client may have left on seeing the number
            self.wfile.write(body)

    do_PROPFIND = do_GET = do_PUT = do_MKCOL = do_MOVE = do_DELETE = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def saying(numbers: dict[str, int]) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Serve answers; yield the URL, and what is asked as it comes."""
    seen: list[tuple[str, dict[str, str]]] = []
    made = type("Made", (Says,), {"numbers": {"PROPFIND": 207, **numbers}, "seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"webdav://127.0.0.1:{server.server_port}/dav", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.server
@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (401, Code.REMOTE_REFUSED, False),
        (403, Code.REMOTE_REFUSED, False),
        (405, Code.REMOTE_PLACE, False),
        (409, Code.REMOTE, True),
        (413, Code.REMOTE_REFUSED, False),
        (423, Code.REMOTE, True),
        (302, Code.REMOTE_PLACE, False),
        (500, Code.REMOTE, True),
        (503, Code.REMOTE, True),
        (507, Code.DISK_FULL, False),
    ],
)
def test_each_answer_has_its_error(tmp_path: Path, number: int, code: Code, again: bool) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with saying({"PUT": number, "MKCOL": 201}) as (url, _):
        storage = opened(RemoteSettings("lab", url))
        with pytest.raises(EmdvcError) as raised:
            loop.run(storage.send(tmp_path / "source", "files/md5/ab/cd"))
        loop.run(storage.close())
    assert raised.value.code == code
    assert isinstance(raised.value, InterruptedFault) is again
    assert str(number) in str(raised.value.evidence)
    assert raised.value.hint


@pytest.mark.server
def test_a_server_without_ranges_is_read_all_the_same(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"0123")
    with saying({}) as (url, seen):
        storage = opened(RemoteSettings("lab", url))
        assert loop.run(storage.read("files/md5/ab/cd", 3, 6)) == b"345"
        loop.run(storage.receive("files/md5/ab/cd", target))
        loop.run(storage.close())
    assert target.read_bytes() == b"0123456789"
    assert [headers["Range"] for method, headers in seen if method == "GET"] == ["bytes=3-5", "bytes=4-"]


@pytest.mark.server
@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({"user": "me", "password": "sécret"}, "Authorization", "Basic bWU6c8OpY3JldA=="),
        ({"token": "abc"}, "Authorization", "Bearer abc"),
        ({"custom_auth_header": "X-Key", "password": "abc"}, "X-Key", "abc"),
        ({"bearer_token_command": f"{sys.executable} -c 'print(42)'"}, "Authorization", "Bearer 42"),
    ],
)
def test_who_we_are_is_said_in_dvc_s_words(options: dict[str, str], header: str, value: str) -> None:
    with saying({}) as (url, seen):
        loop.run(opened(RemoteSettings("lab", url, options)).close())
    assert {headers[header] for _, headers in seen} == {value}


@pytest.mark.server
def test_a_command_that_gives_no_token_is_told() -> None:
    with saying({}) as (url, _):
        command = f"{sys.executable} -c 'raise SystemExit(\"not logged in\")'"
        error = refusal(RemoteSettings("lab", url, {"bearer_token_command": command}))
        assert (error.code, "not logged in" in str(error.evidence)) == (Code.REMOTE_REFUSED, True)
        command = f"{sys.executable} -c 'import time; time.sleep(60)'"
        error = refusal(RemoteSettings("lab", url, {"bearer_token_command": command, "timeout": "1"}))
        assert "not done after 1 s" in str(error.evidence)


@pytest.mark.server
def test_many_send_into_new_folders_at_once(wsgidav: DavServer, tmp_path: Path) -> None:
    first, second = opened(wsgidav.settings("lab")), opened(wsgidav.settings("lab"))
    (tmp_path / "source").write_bytes(b"0123456789")
    keys = [f"files/md5/{number:02x}/cd" for number in range(12)]

    async def both() -> None:
        work = [partial(one.send, tmp_path / "source", key) for key in keys for one in (first, second)]
        await asyncio.gather(*(trying(send) for send in work))
        assert sorted(await first.listing("files/md5")) == keys

    loop.run(both())
    loop.run(first.close())
    loop.run(second.close())
    assert {path.stat().st_size for path in (wsgidav.store / "lab" / "files").rglob("cd")} == {10}


@pytest.mark.parametrize("url", ["webdav://host:abc/dav", "webdav:///dav", "webdavs://[1::/dav"])
def test_addresses_that_cannot_be_read_are_told(url: str) -> None:
    error = refusal(RemoteSettings("lab", url))
    assert (error.code, "URL that cannot be read" in error.cause) == (Code.REMOTE_PLACE, True)


@pytest.mark.server
def test_ports_of_something_else_are_told(ssh_server: SshServer, wsgidav: DavServer) -> None:
    error = refusal(RemoteSettings("lab", f"webdav://127.0.0.1:{ssh_server.port}/dav"))
    assert "does not answer as a web server" in error.cause
    error = refusal(RemoteSettings("lab", wsgidav.url().replace("webdav:", "webdavs:")))
    assert (error.code, "speaks no TLS" in error.cause) == (Code.REMOTE_PLACE, True)


def test_nobody_listens() -> None:
    error = refusal(RemoteSettings("lab", f"webdav://127.0.0.1:{free_port()}/dav"))
    assert "takes no connections" in error.cause
