"""Raw data that stays where it lies: recorded there, read from there, its later changes noticed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from command_line import Emdvc
from in_place_project import RECORD, cached, clone_of, dvc, locked, stage, write_scan
from line import Line
from merlin_file import write_merlin
from servers import S3Server
from web_servers import WebServer, plain_web  # noqa: F401 - a fixture

from emdvc.formats import sidecar as sidecars
from emdvc.history.storage import loop
from emdvc.history.storage.connect import storage_of
from emdvc.history.storage.contract import RemoteSettings


def put(url: str, data: Path) -> None:
    """Send a file or a folder to where a facility would keep it."""
    base, _, name = url.rpartition("/")
    storage = storage_of(RemoteSettings("facility", base))
    files = [data] if data.is_file() else sorted(file for file in data.rglob("*") if file.is_file())

    async def send() -> None:
        await storage.open()
        for file in files:
            await storage.send(file, name if file == data else f"{name}/{file.relative_to(data).as_posix()}")
        await storage.close()

    loop.run(send())


@pytest.fixture
def shared(tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return a project with a remote that is a folder."""
    emdvc("init", tmp_path / "project", "--remote", f"lab={tmp_path / 'remote'}")
    return tmp_path / "project"


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    """Return a scan on a drive outside every project."""
    (tmp_path / "drive").mkdir()
    return write_scan(tmp_path / "drive" / "scan.zarr")


def _out(folder: Path, name: str = "scan.zarr") -> dict[str, object]:
    out = sidecars.load_yaml((folder / f"raw/{name}.dvc").read_text(), "the pointer")["outs"][0]
    return {key: out[key] for key in sorted(out)}


def test_the_same_record_as_that_of_a_copy(facility: Path, shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Pointer and sidecar are those of a normal add; of the data only the list of its files is here."""
    foreseen = emdvc("add", facility, "--in-place", "--dry-run", *RECORD, cwd=shared).stdout
    assert "(y, x, ky, kx) = (32, 32, 32, 32), uint16" in foreseen
    assert not (shared / "raw/scan.zarr.dvc").exists()
    said = emdvc("add", facility, "--in-place", *RECORD, cwd=shared).stdout
    assert "added raw/scan.zarr" in said
    assert f"it stays at {facility}" in said
    emdvc("init", tmp_path / "copied")
    emdvc("add", facility, *RECORD, cwd=tmp_path / "copied")
    assert _out(shared) == _out(tmp_path / "copied")
    beside = "raw/scan.zarr.em.yaml"
    assert (shared / beside).read_bytes() == (tmp_path / "copied" / beside).read_bytes()
    assert not (shared / "raw/scan.zarr").exists()
    assert cached(shared) < 10_000
    assert not (shared / ".dvc/tmp/emdvc/in-place").exists() or not list((shared / ".dvc/tmp/emdvc/in-place").iterdir())
    kept = shared / ".dvc/cache/files/md5"
    assert [file.name for file in kept.rglob("*") if file.is_file()] == [
        file.name for file in (tmp_path / "copied/.dvc/cache/files/md5").rglob("*.dir")
    ]
    assert "unchanged" in emdvc("add", facility, "--in-place", cwd=shared).stdout
    emdvc("add", "raw/scan.zarr", "--set", "beam.energy=200keV", cwd=shared)
    assert sidecars.read(shared / "raw/scan.zarr").record["beam"]["energy"]["value"] == 200


def test_a_laptop_computes_from_it(facility: Path, shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Push sends the list of the files, a clone reads the drive; plain DVC does no harm to any of it."""
    emdvc("add", facility, "--in-place", *RECORD, cwd=shared)
    stage(emdvc, shared, "raw/scan.zarr", "results/image.zarr", "--in-place")
    dvc(shared, "repro")
    emdvc("save", "-m", "computed at the facility", cwd=shared)
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["shared"]["lost"] == []
    names = [file.name for file in (tmp_path / "remote/files/md5").rglob("*") if file.is_file()]
    assert str(_out(shared)["md5"])[2:] in names
    assert len(names) < 10  # the list and the results

    laptop = clone_of(shared, tmp_path / "laptop")
    (laptop / "dvc.lock").unlink()
    dvc(laptop, "repro")
    assert locked(laptop, "image") == locked(shared, "image")
    assert not (laptop / "raw/scan.zarr").exists()
    pointer, there = (laptop / "raw/scan.zarr.dvc").read_bytes(), sorted(facility.rglob("*"))
    for words in (["status"], ["push"], ["repro"], ["gc", "-w", "-f"], ["checkout"], ["pull"]):
        dvc(laptop, *words, status=None)
        assert (laptop / "raw/scan.zarr.dvc").read_bytes() == pointer
        assert sorted(facility.rglob("*")) == there
    shutil.rmtree(laptop / ".dvc/cache", ignore_errors=True)
    shutil.rmtree(laptop / "raw/scan.zarr", ignore_errors=True)
    emdvc("pull", "raw/scan.zarr", cwd=laptop)
    assert sorted(p.name for p in (laptop / "raw/scan.zarr").rglob("*")) == sorted(p.name for p in facility.rglob("*"))
    assert dvc(laptop, "status", "raw/scan.zarr.dvc").strip().endswith("up to date.")


def test_a_change_at_the_source(facility: Path, shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Seen by status, refused by every read, found by `verify --bytes`, taken over on purpose only."""
    emdvc("add", facility, "--in-place", *RECORD, cwd=shared)
    emdvc("push", cwd=shared)
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"] == []
    chunk = facility / "counts/3.4.0.0"
    values = np.fromfile(chunk, "<u2")
    values[5] += 1
    chunk.chmod(0o644)
    values.tofile(chunk)
    os.utime(chunk, (time.time() + 10, time.time() + 10))

    (found,) = json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"]
    assert found["path"] == "raw/scan.zarr"
    assert "counts/3.4.0.0 was written" in found["text"]
    assert json.loads(emdvc("status", "--json", "--no-remote", cwd=shared).stdout)["sources"] == []
    words = ("run", "virtual_detector", "raw/scan.zarr", "x.zarr", "--set", "outer=9px", "--in-place")
    error = emdvc(*words, cwd=shared, status=4).stderr
    assert "EM-SOURCE-CHANGED" in error
    assert f"{chunk}: its md5 is not" in error
    assert "--replace" in error
    said = emdvc("verify", "--bytes", "raw/scan.zarr", cwd=shared, status=1).stdout
    assert str(chunk) in said
    before = (shared / "raw/scan.zarr.dvc").read_bytes()
    assert "EM-SOURCE-CHANGED" in emdvc("add", facility, "--in-place", cwd=shared, status=4).stderr
    assert (shared / "raw/scan.zarr.dvc").read_bytes() == before
    said = emdvc("add", facility, "--in-place", "--replace", "recalibrated", cwd=shared).stdout
    assert "replaced raw/scan.zarr" in said
    assert sidecars.read(shared / "raw/scan.zarr").source["replaced"][0]["reason"] == "recalibrated"
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"] == []
    emdvc(*words, cwd=shared)
    # a drive that was unmounted is no change
    facility.rename(tmp_path / "elsewhere.zarr")
    (found,) = json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"]
    assert not found["answered"]


def test_only_the_times_changed(facility: Path, shared: Path, emdvc: Emdvc) -> None:
    """A copy with new times is looked at once, and found to be what was recorded."""
    emdvc("add", facility, "--in-place", cwd=shared)
    before = _out(shared)
    os.utime(facility / "zarr.json", (1e9, 1e9))
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"]
    assert "read anew raw/scan.zarr" in emdvc("add", facility, "--in-place", cwd=shared).stdout
    assert _out(shared) == before
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"] == []


def test_what_is_refused(facility: Path, shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Secrets in a URL, kinds that are not read, nothing there, other data at the place, a URL without --in-place."""

    def error(*words: object, status: int = 2) -> str:
        return emdvc("add", *words, cwd=shared, status=status).stderr

    assert "no password" in error("ssh://me:hunter2@host/scan.zarr", "--in-place")
    assert "hunter2" not in error("ssh://me:hunter2@host/scan.zarr", "--in-place")
    assert "ftp://" in error("ftp://host/scan.zarr", "--in-place")
    assert "names no dataset" in error("s3://bucket", "--in-place")
    assert "EM-NOT-FOUND" in error(facility.parent / "scam.zarr", "--in-place")
    assert "--in-place" in error("s3://bucket/scan.zarr")
    emdvc("add", facility, cwd=shared)
    assert "EM-RAW-EXISTS" in error(facility, "--in-place", status=4)
    emdvc("add", facility, "raw/other.zarr", "--in-place", cwd=shared)
    second = write_scan(tmp_path / "drive" / "second.zarr", seed=9)
    assert "EM-RAW-EXISTS" in error(second, "raw/other.zarr", "--in-place", status=4)
    (second / "counts/0.0.0.0").unlink()
    said = emdvc("add", second, "--in-place", cwd=shared).stdout
    assert "1 chunks are not there and read as the fill value; the first is counts/0.0.0.0" in said


@pytest.mark.server
def test_a_store_in_a_bucket(
    facility: Path, shared: Path, tmp_path: Path, s3_remote: str, s3_server: S3Server, emdvc: Emdvc,
) -> None:  # fmt: skip
    """On S3, behind a line that counts: killed in mid-way it goes on, and reads nothing that it has read."""
    put(f"{s3_remote}/scan.zarr", facility)
    place = urlsplit(s3_server.endpoint)
    with Line(str(place.hostname), int(place.port or 0), delay_ms=20) as line:
        environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://{line.address}"}
        command = [sys.executable, "-m", "emdvc", "add", f"{s3_remote}/scan.zarr", "--in-place", *RECORD]
        running = subprocess.Popen(command, cwd=shared, env=environment, stdout=subprocess.PIPE)
        until = time.monotonic() + 60
        while time.monotonic() < until and len(line.asked("GET", "counts/")) < 30 and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        first = len(line.asked("GET", "counts/"))
        assert first < 66
        line.reset()
        emdvc("add", f"{s3_remote}/scan.zarr", "--in-place", *RECORD, cwd=shared, env=environment)
        second = len(line.asked("GET", "counts/"))
        assert 0 < second <= 66 - first + 40
    emdvc("init", tmp_path / "copied")
    emdvc("add", facility, *RECORD, cwd=tmp_path / "copied")
    assert _out(shared) == _out(tmp_path / "copied")
    beside = "raw/scan.zarr.em.yaml"
    assert (shared / beside).read_bytes() == (tmp_path / "copied" / beside).read_bytes()
    emdvc("push", cwd=shared)
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"] == []
    stage(emdvc, shared, "raw/scan.zarr", "results/image.zarr", "--in-place")
    emdvc("save", "-m", "a stage", cwd=shared)
    laptop = clone_of(shared, tmp_path / "laptop")
    dvc(laptop, "repro")
    assert not (laptop / "raw/scan.zarr").exists()


@pytest.mark.server
@pytest.mark.parametrize("kind", ["ssh", "http"])
def test_a_vendor_file_on_a_server(
    kind: str, request: pytest.FixtureRequest, shared: Path, tmp_path: Path, emdvc: Emdvc
) -> None:
    """A single file, here whole only while it is read; a step computes from the server's copy."""
    write_merlin(tmp_path / "scan.mib", 64, (32, 32))
    if kind == "ssh":
        url = f"{request.getfixturevalue('ssh_remote')}/scan.mib"
        if "known_hosts" not in url:
            _trust(url)
        put(url, tmp_path / "scan.mib")
    else:
        web: WebServer = request.getfixturevalue("plain_web")
        shutil.copy(tmp_path / "scan.mib", web.files / "scan.mib")
        url = f"{web.url}/scan.mib"
    emdvc("add", url, "--in-place", "--scan-shape", "8x8", *RECORD, cwd=shared)
    emdvc("init", tmp_path / "copied")
    emdvc("add", tmp_path / "scan.mib", "--scan-shape", "8x8", *RECORD, cwd=tmp_path / "copied")
    assert _out(shared, "scan.mib") == _out(tmp_path / "copied", "scan.mib")
    beside = "raw/scan.mib.em.yaml"
    assert (shared / beside).read_bytes() == (tmp_path / "copied" / beside).read_bytes()
    assert not (shared / "raw/scan.mib").exists()
    assert cached(shared) == 0
    emdvc("run", "sum_pattern", "raw/scan.mib", "x.zarr", "--in-place", cwd=shared)
    emdvc("run", "sum_pattern", "raw/scan.mib", "x.zarr", cwd=tmp_path / "copied")
    sums = [sidecars.read(folder / "x.zarr").variables["sum"].digest for folder in (shared, tmp_path / "copied")]
    assert sums[0] == sums[1]
    assert json.loads(emdvc("status", "--json", cwd=shared).stdout)["sources"] == []


def _trust(url: str) -> None:
    """Take a server's key into the known hosts, as a person does who was shown its fingerprint."""
    place = urlsplit(url)
    scanned = subprocess.run(
        ["ssh-keyscan", "-p", str(place.port), str(place.hostname)], capture_output=True, check=True
    )
    (Path.home() / ".ssh" / "known_hosts").write_bytes(scanned.stdout)
