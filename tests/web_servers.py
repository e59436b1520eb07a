"""Web servers on the loopback interface that only give: nginx, and one that knows no parts of files."""

from __future__ import annotations

import functools
import getpass
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import _end, _free_port, _wait_for

_SETTINGS = """\
daemon off;
pid {state}/pid;
error_log {state}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {state}/files;
        location /closed/ {{
            alias {state}/files/;
            auth_basic "data";
            auth_basic_user_file {state}/users;
        }}
        location /busy/ {{ return 503; }}
        location /keyed/ {{
            alias {state}/files/;
            if ($http_x_token != "secret") {{ return 401; }}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class WebServer:
    """A running server: its port, and the folder that it shows."""

    port: int
    files: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Start nginx; below ``/closed`` it asks for user and password, below ``/keyed`` for a header."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    state, port = tmp_path_factory.mktemp("nginx"), _free_port()
    (state / "files").mkdir()
    # its workers would be another user, who cannot look into our folder
    who = "user root;\n" if getpass.getuser() == "root" else ""
    (state / "users").write_text("reader:{PLAIN}pass word\n")
    (state / "nginx.conf").write_text(who + _SETTINGS.format(state=state, port=port))
    log = state / "out.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-e", str(log), "-c", str(state / "nginx.conf")], stdout=output, stderr=output
        )
    try:
        _wait_for(port, process, log)
        yield WebServer(port, state / "files")
    finally:
        _end(process)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def plain_web(tmp_path: Path) -> Iterator[WebServer]:
    """Serve a folder by Python's own server, which gives only whole files."""
    files = tmp_path / "web"
    files.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(files)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield WebServer(server.server_address[1], files)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
