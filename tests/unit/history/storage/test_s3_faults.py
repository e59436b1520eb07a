"""What a person reads when an S3 service says no: asked of real servers where one can be made to say it."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from s3_servers import CephS3
from web_servers import WebServer

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import loop
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, SilentFault
from emdvc.history.storage.s3 import S3Storage
from emdvc.history.storage.s3_faults import faults

Work = Callable[[S3Storage], Coroutine[Any, Any, object]]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the keys of whoever runs the tests away."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def nothing(_: S3Storage) -> None:
    """Do no more than open."""


def said(options: dict[str, str], work: Work = nothing, url: str = "s3://microscopy/a") -> EnvironmentFault:
    """Return the fault that opening a storage, and working with it, ends in; every fault names remote and URL."""

    async def do() -> None:
        storage = S3Storage(RemoteSettings("lab", url, options, 5))
        await storage.open()
        try:
            await work(storage)
        finally:
            await storage.close()

    with pytest.raises(EnvironmentFault) as found:
        loop.run(do())
    assert f"the remote lab ({url}) " in found.value.cause
    assert found.value.evidence
    assert found.value.hint
    return found.value


@pytest.mark.server
def test_keys(ceph_s3: CephS3) -> None:
    """An unknown key and a wrong secret are told apart; each says where keys stand."""
    unknown = said({**ceph_s3.options(), "access_key_id": "AKNOBODY"})
    wrong = said({**ceph_s3.options(), "secret_access_key": "wrong"})
    assert unknown.code is wrong.code is Code.REMOTE_REFUSED
    assert "does not know our access key" in unknown.cause
    assert "refused our secret key" in wrong.cause
    assert "InvalidAccessKeyId" in str(unknown.evidence)
    assert "SignatureDoesNotMatch" in str(wrong.evidence)
    assert "~/.aws/credentials" in str(wrong.hint)
    assert "emdvc remote check lab" in str(wrong.hint)


@pytest.mark.server
def test_no_keys_at_all(ceph_s3: CephS3) -> None:
    """The hint names the places where keys are looked for; a profile that is not there is another fault."""
    options = {"endpointurl": ceph_s3.endpoint, "region": "us-east-1"}
    none = said(options)
    assert none.code is Code.REMOTE_REFUSED
    assert "needs keys, and none were found" in none.cause
    assert "AWS_PROFILE" in str(none.hint)
    assert "~/.aws/credentials" in str(none.hint)
    profile = said({**options, "profile": "facility"})
    assert "AWS profile that is not there" in profile.cause
    assert "facility" in str(profile.evidence)


@pytest.mark.server
@pytest.mark.parametrize("way", ["settings", "profile in the environment", "files named in the settings"])
def test_keys_are_found_as_the_aws_tools_find_them(
    ceph_s3: CephS3, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In DVC's settings, by a profile, in files that the settings name."""
    options = {"endpointurl": ceph_s3.endpoint, "region": "us-east-1"}
    credentials = tmp_path / "keys"
    credentials.write_text(
        f"[facility]\naws_access_key_id = {ceph_s3.access_key}\naws_secret_access_key = {ceph_s3.secret_key}\n"
    )
    if way == "settings":
        options = ceph_s3.options()
    elif way == "profile in the environment":
        monkeypatch.setenv("AWS_PROFILE", "facility")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    else:
        monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
        options |= {"profile": "facility", "credentialpath": str(credentials)}

    async def look() -> None:
        storage = S3Storage(RemoteSettings("lab", "s3://microscopy/a", options, 5))
        await storage.open()
        try:
            assert await storage.stat("none") is None
        finally:
            await storage.close()

    loop.run(look())


@pytest.mark.server
def test_no_bucket(ceph_s3: CephS3) -> None:
    """A misspelt bucket is not taken for one that is empty."""
    found = said(ceph_s3.options(), url="s3://micorscopy/a")
    assert found.code is Code.REMOTE_PLACE
    assert "has no bucket micorscopy" in found.cause
    assert "aws s3 mb s3://micorscopy" in str(found.hint)
    with pytest.raises(EnvironmentFault, match="has no bucket in its URL"):
        S3Storage(RemoteSettings("lab", "s3:///a", {}))


@pytest.mark.server
def test_rights(ceph_s3: CephS3, tmp_path: Path) -> None:
    """Whoever may not do something is told which right is lacking."""
    source = tmp_path / "a"
    source.write_bytes(b"a")
    other = {
        **ceph_s3.options(),
        "access_key_id": ceph_s3.other_access_key,
        "secret_access_key": ceph_s3.other_secret_key,
    }
    wanted: dict[str, Work] = {
        "s3:PutObject": lambda storage: storage.send(source, "b"),
        "s3:GetObject": lambda storage: storage.read("b"),
        "s3:ListBucket": lambda storage: storage.listing("a"),
        "s3:DeleteObject": lambda storage: storage.remove("b"),
    }
    for right, work in wanted.items():
        found = said(other, work)
        assert found.code is Code.REMOTE_REFUSED
        assert f"ask the bucket's owner for the right {right}" in str(found.hint)
    assert "s3:GetObject" in str(said({**other, "allow_anonymous_login": "true"}, wanted["s3:GetObject"]).hint)


@pytest.mark.server
@pytest.mark.parametrize("hours", [3, -3])
def test_a_wrong_clock(ceph_s3: CephS3, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is about the clock, not about the keys."""
    import botocore.auth
    import botocore.compat

    real = botocore.compat.get_current_datetime

    def other(*arguments: Any, **more: Any) -> datetime:
        at: datetime = real(*arguments, **more) + timedelta(hours=hours)
        return at

    monkeypatch.setattr(botocore.auth, "get_current_datetime", other)
    found = said(ceph_s3.options())
    assert found.code is Code.REMOTE_REFUSED
    assert "because the clocks differ" in found.cause
    assert "clock" in str(found.hint)


@pytest.mark.server
def test_no_way_there(ceph_s3: CephS3) -> None:
    """Nothing listens; no such host; TLS where none is spoken."""
    options = ceph_s3.options()
    closed = said({**options, "endpointurl": "http://127.0.0.1:9"})
    assert isinstance(closed, InterruptedFault)
    assert "takes no connections" in closed.cause
    assert "127.0.0.1:9" in str(closed.evidence)
    nowhere = said({**options, "endpointurl": "http://s3.no-such-host.invalid"})
    assert "host that is not known here" in nowhere.cause
    assert "s3.no-such-host.invalid" in str(nowhere.evidence)
    encrypted = said({**options, "endpointurl": ceph_s3.endpoint.replace("http:", "https:")})
    assert "does not speak TLS" in encrypted.cause
    assert "http://" in str(encrypted.hint)


@pytest.mark.server
def test_an_answer_that_is_not_of_s3(plain_web: WebServer, ceph_s3: CephS3) -> None:
    """A page of a proxy or of any other web server is not taken for an empty bucket."""
    options = {**ceph_s3.options(), "endpointurl": plain_web.url}
    absent = said(options)
    (plain_web.files / "microscopy").mkdir()
    page = said(options)
    (plain_web.files / "microscopy" / "index.html").write_text("<html><body>Please log in.</body></html>")
    login = said(options)
    for found in (absent, page, login):
        assert found.code is Code.REMOTE_PLACE
        assert "is no S3 service" in found.cause


@pytest.mark.server
def test_a_busy_service_is_worth_another_try(nginx: WebServer, ceph_s3: CephS3) -> None:
    """A gateway that answers 503 to everything."""
    found = said({**ceph_s3.options(), "endpointurl": f"{nginx.url}/busy"})
    assert isinstance(found, InterruptedFault)
    assert "503" in str(found.evidence)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Start a server with a certificate that nobody knows; yield its address and the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, tmp_path / "key.pem")

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"page")

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that do not trust it."""

    server = Server(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}", file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.server
def test_a_certificate_that_nobody_knows(encrypted: tuple[str, Path]) -> None:
    """It is refused with the way to trust it, and trusted when its authority is named or nothing is to be checked."""
    url, certificate = encrypted
    options = {"endpointurl": url, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b"}
    found = said(options)
    assert found.code is Code.REMOTE_UNTRUSTED
    assert "certificate that is not trusted" in found.cause
    assert "self-signed" in str(found.evidence)
    assert "dvc remote modify lab ssl_verify" in str(found.hint)
    for trusted in (str(certificate), "false"):
        assert "is no S3 service" in said({**options, "ssl_verify": trusted}).cause


@pytest.mark.parametrize(
    ("code", "status", "more", "kind", "expected", "words"),
    [
        ("SlowDown", 503, {}, InterruptedFault, Code.REMOTE, "try again later"),
        ("InternalError", 500, {}, InterruptedFault, Code.REMOTE, "try again later"),
        ("504", 504, {}, InterruptedFault, Code.REMOTE, "try again later"),
        ("BadDigest", 400, {}, InterruptedFault, Code.REMOTE, "try again later"),
        ("ExpiredToken", 400, {}, EnvironmentFault, Code.REMOTE_REFUSED, "log in again"),
        ("QuotaExceeded", 403, {}, EnvironmentFault, Code.DISK_FULL, "room"),
        ("InvalidObjectState", 403, {}, EnvironmentFault, Code.REMOTE, "restore"),
        ("NotImplemented", 501, {}, EnvironmentFault, Code.REMOTE, "emdvc remote check lab"),
        (
            "AuthorizationHeaderMalformed",
            400,
            {"Message": "the region 'us-east-1' is wrong; expecting 'eu-west-1'", "Region": "eu-west-1"},
            EnvironmentFault,
            Code.REMOTE_PLACE,
            "dvc remote modify lab region eu-west-1",
        ),
    ],
)
def test_answers_that_no_server_here_gives(
    code: str, status: int, more: dict[str, str], kind: type[EnvironmentFault], expected: Code, words: str
) -> None:
    """Each code of an answer becomes a fault that says whether another try is worth it, and what helps."""
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, **more}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(EnvironmentFault) as found, faults(RemoteSettings("lab", "s3://b/p"), "writing a"):
        raise ClientError(answer, "PutObject")
    assert type(found.value) is kind
    assert found.value.code is expected
    assert words in str(found.value.hint)


def test_a_read_timeout_of_the_settings_is_silence() -> None:
    """It is not tried again: it was waited for."""
    from botocore.exceptions import ReadTimeoutError

    with (
        pytest.raises(SilentFault, match="read_timeout") as found,
        faults(RemoteSettings("lab", "s3://b/p"), "reading a"),
    ):
        raise ReadTimeoutError(endpoint_url="http://b")
    assert found.value.code is Code.REMOTE_SILENT
