"""`emdvc remote` against real servers: the same story on each kind of storage, and every fault with its remedy."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_line import Emdvc
from s3_servers import CephS3
from servers import _end, _free_port, _wait_for
from ssh_dav_servers import DavServer, SshServer, new_certificate, new_key, ssh_server, wsgidav  # noqa: F401 - fixtures

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy


@dataclass
class Place:
    """Where data is shared in a test: the URL, what `emdvc remote add` is told, and what stdin says."""

    url: str
    options: tuple[str, ...] = ()
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    store: Path | None = None

    def add(self, emdvc: Emdvc, project: Path, *more: str, name: str = "lab") -> str:
        """Add it as a remote."""
        command = [sys.executable, "-m", "emdvc", "remote", "add", name, self.url, *self.options, *more]
        done = subprocess.run(
            command, cwd=project, input=self.stdin, capture_output=True, text=True, check=False,
            env={**os.environ, **self.env},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not self.stdin or self.stdin.strip() not in done.stdout + done.stderr + " ".join(command)
        return done.stdout


def folder_place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(str(tmp_path / "storage"), store=tmp_path / "storage")


def s3_place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    server: CephS3 = request.getfixturevalue("ceph_s3")
    home = tmp_path / "aws"
    home.mkdir()
    (home / "credentials").write_text(
        f"[lab]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    # the keys are where every AWS tool looks for them
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"), "AWS_CONFIG_FILE": str(home / "config")}
    os.environ.update(env)
    request.addfinalizer(lambda: [os.environ.pop(name, None) for name in env])
    return Place(
        f"s3://{server.bucket}/story",
        ("--endpoint", server.endpoint, "--set", "region=us-east-1", "--aws-profile", "lab"),
    )


def ssh_place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    server: SshServer = request.getfixturevalue("ssh_server")
    config = Path(os.environ["HOME"]) / ".ssh" / "config"
    config.write_text(f"Host 127.0.0.1\n  IdentityFile {server.key()}\n")
    return Place(server.url("story"), store=server.store / "story")


def webdav_place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    server: DavServer = request.getfixturevalue("wsgidav")
    return Place(server.url("story"), ("--user", "emdvc", "--password-stdin"), server.password + "\n")


STORIES: dict[str, Callable[[Path, pytest.FixtureRequest], Place]] = {
    "folder": folder_place,
    "s3": s3_place,
    "ssh": ssh_place,
    "webdav": webdav_place,
}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_npy(tmp_path / "scan.npy", DiffractionPhantom(scan_shape=(4, 5), detector_shape=(16, 16)))


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("kind", STORIES)
def test_the_story(kind: str, tmp_path: Path, emdvc: Emdvc, scan: Path, request: pytest.FixtureRequest) -> None:
    place = STORIES[kind](tmp_path, request)
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    emdvc("init", mine)
    place.add(emdvc, mine)
    emdvc("add", scan, cwd=mine)
    emdvc("save", "-m", "a scan", "--no-push", cwd=mine)
    assert "sent 1 file" in emdvc("push", cwd=mine).stdout
    assert "nothing to send" in emdvc("push", cwd=mine).stdout
    checked = emdvc("remote", "check", cwd=mine).stdout
    for right in ("reach", "list", "read", "write", "delete", "clock", "throughput"):
        assert f"  ok    {right}: " in checked
    assert "fail" not in checked

    emdvc("get", mine, theirs, "--no-data")
    if place.stdin:  # what is secret did not come along
        assert "EM-REMOTE-REFUSED" in emdvc("pull", cwd=theirs, status=2).stderr
    place.add(emdvc, theirs)
    emdvc("pull", cwd=theirs)
    assert _md5(theirs / "raw" / "scan.npy") == _md5(scan)
    assert json.loads(emdvc("status", "--json", cwd=theirs).stdout)["clean"] is True
    # plain DVC works with the same settings
    said = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "-c"], cwd=theirs, capture_output=True, text=True, check=True
    )
    assert "in sync" in said.stdout
    assert place.store is None or not list((place.store / "emdvc-tmp").glob("*"))


@pytest.mark.slow
@pytest.mark.server
def test_reading_over_http(tmp_path: Path, emdvc: Emdvc, scan: Path, web_server: Callable[[Path], str]) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    emdvc("init", mine, "--remote", f"disk={tmp_path / 'storage'}")
    emdvc("add", scan, cwd=mine)
    emdvc("save", "-m", "a scan", cwd=mine)
    url = web_server(tmp_path / "storage")
    emdvc("remote", "add", "public", url, "--default", cwd=mine)
    emdvc("save", "-m", "readable for all", "--no-push", cwd=mine)

    emdvc("get", mine, theirs)

    assert _md5(theirs / "raw" / "scan.npy") == _md5(scan)
    checked = emdvc("remote", "check", "public", cwd=theirs).stdout
    assert "ok    read: allowed" in checked
    assert "ok    write: read-only, as it is set" in checked
    assert "reading only" in emdvc("remote", "list", cwd=theirs).stdout
    refused = emdvc("remote", "add", "public", url, "--raw", cwd=mine, status=2).stderr
    assert "it is read-only" in refused


def test_settings_that_are_written(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    said = emdvc("remote", "add", "Lab", "s3://bucket/x", "--endpoint", "https://s3.example.org", cwd=project).stdout
    config = (project / ".dvc" / "config").read_text()
    assert "['remote \"lab\"']\n    url = s3://bucket/x\n    verify = true\n    jobs = " in config
    assert "remote = lab" in config
    assert "the default remote" in said
    assert not (project / ".dvc" / "config.local").exists()
    assert ".dvc/config" in _git("diff", "--cached", "--name-only", cwd=project)
    again = emdvc("remote", "add", "lab", "s3://bucket/x", cwd=project).stdout
    assert "nothing changed" in again
    assert (project / ".dvc" / "config").read_text() == config
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "remote", "list"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "s3://bucket/x" in listed.stdout


def test_another_place_under_the_same_name(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    place = Place("webdavs://one.example.org/dav", ("--user", "ruska", "--password-stdin"), "very secret\n")
    place.add(emdvc, project)
    other = ("remote", "add", "lab", "webdavs://two.example.org/dav")
    refused = emdvc(*other, cwd=project, status=4).stderr
    assert "another place already" in refused
    assert "missing until it is pushed again" in refused
    emdvc(*other, "--force", "--dry-run", cwd=project)
    assert "one.example.org" in (project / ".dvc" / "config").read_text()
    said = emdvc(*other, "--force", cwd=project).stdout
    assert "no longer webdavs://one.example.org/dav" in said
    # the password of one place is never sent to another
    assert "secret" not in (project / ".dvc" / "config.local").read_text()


def test_secrets_are_never_committed(project: Path, emdvc: Emdvc) -> None:
    place = Place("webdavs://cloud.example.org/dav", ("--user", "ruska", "--password-stdin"), "very # secret\n")
    said = place.add(emdvc, project)
    assert "password set in .dvc/config.local, which is not committed" in said
    local = project / ".dvc" / "config.local"
    assert "very # secret" in local.read_text()
    if os.name != "nt":
        assert local.stat().st_mode & 0o077 == 0
    _git("add", "-A", cwd=project)
    assert "config.local" not in _git("diff", "--cached", "--name-only", cwd=project)
    for line in (("--set", "password=very-secret"), ("--ask-password",), ("--password-env", "NOT_SET")):
        done = emdvc("remote", "add", "lab", "webdavs://cloud.example.org/dav", *line, cwd=project, status=2)
        assert "very-secret" not in done.stderr + done.stdout
    (project / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    done = emdvc("remote", "add", "lab", place.url, "--user", "knoll", cwd=project, status=4)
    assert "would be committed" in done.stderr
    assert "knoll" not in local.read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("lab", "s3://bucket", "--key-file", "x"), "there is no such key file"),
        (("lab", "s3://bucket", "--set", "jops=3"), "did you mean jobs"),
        (("lab", "s3://bucket", "--set", "jobs"), "KEY=VALUE"),
        (("lab", "/mnt/lab", "--endpoint", "https://x"), "--endpoint is for S3 remotes; this is a folder remote"),
        (("lab", "/mnt/lab", "--profile", "archiv"), "did you mean archive"),
        (("lab", "/mnt/lab", "--profile", "scratch", "--raw"), "may be cleaned away"),
        (("lab", "/mnt/lab", "--lock-days", "30"), "--profile archive"),
        (("lab", "/mnt/lab", "--profile", "archive", "--lock-days", "x"), "whole number of days"),
        (("lab", "/mnt/lab", "--profile", "archive", "--lock-days", "9"), "S3 services only"),
        (("lab", "/mnt/lab", "--existing"), "--raw or --results"),
        (("lab", "s3://bucket", "--password-stdin", "--ask-password"), "one place"),
        (("lab", "s3://bucket", "--password-stdin"), "--user"),
    ],
)
def test_what_cannot_be(project: Path, emdvc: Emdvc, line: tuple[str, ...], said: str) -> None:
    before = (project / ".dvc" / "config").read_text()
    assert said in emdvc("remote", "add", *line, cwd=project, status=2).stderr
    assert (project / ".dvc" / "config").read_text() == before


@pytest.mark.slow
def test_raw_data_and_results_go_to_different_remotes(project: Path, tmp_path: Path, emdvc: Emdvc, scan: Path) -> None:
    emdvc("add", scan, cwd=project)  # before there is any remote
    emdvc("remote", "add", "lab", tmp_path / "lab", cwd=project)
    emdvc("remote", "add", "fast", tmp_path / "fast", "--profile", "scratch", "--results", cwd=project)
    said = emdvc(
        "remote", "add", "vault", tmp_path / "vault", "--profile", "archive", "--raw", "--existing",
        cwd=project,
    ).stdout  # fmt: skip
    assert "led there: raw/scan.npy.dvc" in said
    emdvc("add", write_npy(tmp_path / "new.npy", DiffractionPhantom((2, 3), (8, 8))), cwd=project)
    emdvc("stage", "add", "virtual_image", "-d", "raw/scan.npy", "-o", "results/image.zarr", cwd=project)
    assert "results/image.zarr: {remote: fast}" in (project / "dvc.yaml").read_text()
    _dvc("repro", "-q", cwd=project)
    emdvc("save", "-m", "all", "--no-push", cwd=project)
    _dvc("push", cwd=project)  # plain DVC sends each to its own

    def held(name: str) -> int:
        return (
            len([path for path in (tmp_path / name).rglob("*") if path.is_file()]) if (tmp_path / name).exists() else 0
        )

    assert (held("vault"), held("lab")) == (2, 0)
    assert held("fast") > 1
    emdvc("push", cwd=project)  # with the record of the run, too
    assert held("vault") == 2
    assert "sent" not in emdvc("push", cwd=project).stdout
    listed = {one["name"]: one for one in json.loads(emdvc("remote", "list", "--json", cwd=project).stdout)["remotes"]}
    assert listed["vault"]["raw"]
    assert listed["fast"]["results"]
    assert listed["lab"]["default"]
    image = project / "results" / "image.zarr"
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    shutil.rmtree(image)
    emdvc("pull", cwd=project)
    assert image.is_dir()
    for name in ("vault", "fast"):
        refused = emdvc("remote", "remove", name, cwd=project, status=4).stderr
        assert "is named for" in refused


def test_removing(project: Path, tmp_path: Path, emdvc: Emdvc, scan: Path) -> None:
    emdvc("remote", "add", "lab", tmp_path / "lab", cwd=project)
    emdvc("remote", "add", "copy", tmp_path / "copy", "--profile", "archive", cwd=project)
    emdvc("add", scan, cwd=project)
    emdvc("save", "-m", "a scan", cwd=project)
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    only = emdvc("remote", "remove", "lab", cwd=project, status=3).stderr
    assert "1 dataset is on lab and nowhere else" in only
    assert "raw/scan.npy" in only
    shutil.copytree(tmp_path / "lab", tmp_path / "copy")
    before = (project / ".dvc" / "config").read_text()
    emdvc("remote", "remove", "lab", "--dry-run", cwd=project)
    assert (project / ".dvc" / "config").read_text() == before
    said = emdvc("remote", "remove", "lab", cwd=project).stdout
    assert "gone: the default remote" in said
    assert "lab" not in (project / ".dvc" / "config").read_text()
    assert (tmp_path / "lab" / "files").is_dir()
    emdvc("remote", "remove", "copy", "--force", cwd=project)
    assert "remotes" not in (project / ".emdvc" / "config.yaml").read_text()
    assert "data is shared nowhere" in emdvc("remote", "list", cwd=project).stdout
    assert "there is no remote lab" in emdvc("remote", "remove", "lab", cwd=project, status=2).stderr


def test_json_is_that_of_the_reference(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    for words in (
        ("add", "lab", str(tmp_path / "lab")),
        ("list",),
        ("check", "lab", "--quick"),
        ("remove", "lab"),
    ):
        said = json.loads(emdvc("remote", *words, "--json", cwd=project).stdout)
        row = re.search(rf"^\| `emdvc remote {words[0]}` \| `{said.pop('schema')}` \| (.+) \|$", page, re.MULTILINE)
        assert row is not None
        assert said.pop("version") == 1
        assert set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row[1]))) == set(said)


# --- faults ---------------------------------------------------------------------------------------------------------


def failing(emdvc: Emdvc, project: Path, **env: str) -> str:
    """Return what `emdvc remote check` says of a remote that does not work, its last fault with the remedy."""
    said = emdvc("remote", "check", cwd=project, status=1, env=env).stdout
    lines = said.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("  fail"))
    return "\n".join(lines[first : first + 2])


@pytest.mark.server
@pytest.mark.slow
def test_s3_faults(project: Path, emdvc: Emdvc, ceph_s3: CephS3) -> None:
    endpoint = ("--endpoint", ceph_s3.endpoint, "--set", "region=us-east-1")

    def check(bucket: str, access: str, secret: str) -> str:
        emdvc("remote", "add", "lab", f"s3://{bucket}/x", *endpoint, "--force", cwd=project)
        return failing(emdvc, project, AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)

    bucket, access, secret = ceph_s3.bucket, ceph_s3.access_key, ceph_s3.secret_key
    assert "fail  access: does not know our access key" in check(bucket, "AKNOBODY", secret)
    assert "fail  access: refused our secret key" in check(bucket, access, "wrong")
    absent = check("no-such-bucket", access, secret)
    assert "fail  place: has no bucket no-such-bucket" in absent
    assert "aws s3 mb s3://no-such-bucket" in absent
    assert "ask the bucket's owner" in check(bucket, ceph_s3.other_access_key, ceph_s3.other_secret_key)
    none = failing(
        emdvc,
        project,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_CONFIG_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert "fail  access: needs keys, and none were found" in none
    assert "aws configure" in none


@pytest.mark.server
@pytest.mark.slow
def test_s3_locks(project: Path, emdvc: Emdvc, ceph_s3: CephS3) -> None:
    with suppress(Exception):
        ceph_s3.make_bucket("locked", ObjectLockEnabledForBucket=True)
    ceph_s3.client().put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}},
        },
    )
    env = {"AWS_ACCESS_KEY_ID": ceph_s3.access_key, "AWS_SECRET_ACCESS_KEY": ceph_s3.secret_key}
    options = ("--endpoint", ceph_s3.endpoint, "--set", "region=us-east-1", "--profile", "archive", "--lock-days", "2")
    emdvc("remote", "add", "vault", "s3://locked", *options, cwd=project)
    said = emdvc("remote", "check", "vault", cwd=project, env=env).stdout
    assert "ok    locks: objects can be locked; each new one is, for 2 days (governance)" in said
    assert "ok    versions: kept" in said
    assert "ok    throughput: not measured" in said
    emdvc("remote", "add", "vault", f"s3://{ceph_s3.bucket}", *options, "--force", cwd=project)
    said = emdvc("remote", "check", "vault", cwd=project, env=env, status=1).stdout
    assert "fail  locks: objects are to be locked for 2 days, but the bucket has no object lock" in said
    assert "warn  versions: not kept" in said


@pytest.mark.server
@pytest.mark.slow
def test_ssh_faults(project: Path, tmp_path: Path, emdvc: Emdvc, ssh_server: SshServer) -> None:  # noqa: F811
    known = Path(os.environ["HOME"]) / ".ssh" / "known_hosts"
    right = known.read_text()

    def check(*options: str, url: str = "") -> str:
        emdvc("remote", "add", "lab", url or ssh_server.url("x"), *options, "--force", cwd=project)
        return failing(emdvc, project)

    key = ("--key-file", str(ssh_server.key()))
    known.write_text("")
    unknown = check(*key)
    assert "fail  trust: " in unknown
    assert ssh_server.fingerprint() in unknown
    assert "ssh-keyscan" in unknown or "known_hosts" in unknown
    new_key(tmp_path / "another")
    other = " ".join((tmp_path / "another.pub").read_text().split()[:2])
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {other}\n")
    changed = check(*key)
    assert "fail  trust: " in changed
    assert "changed" in changed or "another" in changed
    known.write_text(right)
    assert "fail  access: " in check("--key-file", str(tmp_path / "another"))
    closed = check(*key, url=ssh_server.url("x", port=_free_port()))
    assert "fail  reach: " in closed


@pytest.mark.server
@pytest.mark.slow
def test_webdav_faults(project: Path, emdvc: Emdvc, wsgidav: DavServer) -> None:  # noqa: F811
    wrong = Place(wsgidav.url("x"), ("--user", "emdvc", "--password-stdin", "--force"), "not the password\n")
    wrong.add(emdvc, project)
    refused = failing(emdvc, project)
    assert "fail  access: " in refused
    assert "not the password" not in refused
    nowhere = Place(
        wsgidav.url("x").replace("/dav/", "/nothing/"), ("--user", "emdvc", "--password-stdin", "--force"),
        wsgidav.password + "\n",
    )  # fmt: skip
    nowhere.add(emdvc, project)
    assert "fail  place: " in failing(emdvc, project)
    wsgidav.stop()
    closed = Place(wsgidav.url("x"), ("--user", "emdvc", "--password-stdin", "--force"), wsgidav.password + "\n")
    closed.add(emdvc, project)
    assert "fail  reach: " in failing(emdvc, project)


@pytest.mark.server
def test_a_certificate_that_nobody_signed(
    project: Path, tmp_path: Path, emdvc: Emdvc, web_server: Callable[..., str]
) -> None:
    new_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "storage").mkdir()
    url = web_server(tmp_path / "storage", tmp_path / "cert.pem", tmp_path / "key.pem")
    emdvc("remote", "add", "public", url, cwd=project)
    refused = failing(emdvc, project)
    assert "fail  trust: " in refused
    assert "certificate" in refused
    emdvc("remote", "add", "public", url, "--set", f"ssl_verify={tmp_path / 'cert.pem'}", cwd=project)
    emdvc("remote", "check", "public", cwd=project)


def test_a_lost_mount(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("remote", "add", "lab", tmp_path / "gone" / "mount", cwd=project)
    lost = failing(emdvc, project)
    assert "fail  place: is not there" in lost
    assert "mount the drive" in lost


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / "lab").mkdir(mode=0o555)
    emdvc("remote", "add", "lab", tmp_path / "lab", cwd=project)
    refused = failing(emdvc, project)
    assert "fail  write: does not let us" in refused
    assert "--read-only" in refused


def test_settings_that_are_not_as_they_should_be(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("remote", "add", "lab", tmp_path / "lab", cwd=project)
    config = project / ".dvc" / "config"
    config.write_text(config.read_text().replace("verify = true", "verify = false"))
    said = emdvc("remote", "check", "--quick", cwd=project).stdout
    assert "warn  settings: what is fetched is not checked by DVC" in said
    assert "dvc remote modify lab verify true" in said
    emdvc("remote", "add", "cloud", "webdavs://cloud.example.org/dav", cwd=project)
    config.write_text(config.read_text() + "    password = secret\n")
    said = emdvc("remote", "check", "cloud", "--quick", cwd=project, status=1).stdout
    assert "fail  secrets: password stands in .dvc/config, which everybody reads" in said
    assert "= secret" not in said


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return what starts nginx with a folder, by itself or encrypted, and returns its URL."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("no nginx is installed")
    running = []

    def start(folder: Path, certificate: Path | None = None, key: Path | None = None) -> str:
        state = tmp_path / "nginx"
        state.mkdir()
        port = _free_port()
        secure = f"ssl_certificate {certificate}; ssl_certificate_key {key};" if certificate else ""
        places = "".join(
            f"{name}_temp_path {state}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (state / "nginx.conf").write_text(
            f"daemon off; pid {state}/pid; error_log {state}/error.log; {'user root;' if os.geteuid() == 0 else ''}\n"
            f"events {{}}\nhttp {{ access_log off; {places}\n"
            f"server {{ listen 127.0.0.1:{port}{' ssl' if certificate else ''}; root {folder}; {secure} }} }}\n"
        )
        process = subprocess.Popen([nginx, "-c", str(state / "nginx.conf"), "-e", str(state / "error.log")])
        running.append(process)
        _wait_for(port, process, state / "error.log")
        return f"{'https' if certificate else 'http'}://127.0.0.1:{port}"

    try:
        yield start
    finally:
        for process in running:
            _end(process)


def _git(*words: str, cwd: Path) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout


def _dvc(*words: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=cwd, check=True, capture_output=True)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
