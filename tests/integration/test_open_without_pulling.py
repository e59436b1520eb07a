"""Recorded data opened from a clone with nothing pulled: what comes, what it costs, and what is said when it cannot."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr
from large_scan import write_large_scan
from line import Line
from recorded_store import FILES, SCAN, Lab, emdvc, git, new_lab, numbers, write_scan
from servers import S3Server

from emdvc import open_dataset
from emdvc.errors import Code, DataMissingError, ProjectError, UsageError
from emdvc.history.storage.remote import close_all

OLD, NEW = 1, 2


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Lab:
    """A project whose scan was recorded twice."""
    lab = new_lab(tmp_path_factory.mktemp("lab"))
    write_scan(lab.project / SCAN, OLD)
    lab.add(SCAN, "as it came")
    shutil.rmtree(lab.project / SCAN)
    write_scan(lab.project / SCAN, NEW)
    emdvc("add", SCAN, "--replace", "the shutter was closed", cwd=lab.project)
    emdvc("save", "-m", "again", cwd=lab.project)
    git("tag", "second", cwd=lab.project)
    return lab


@pytest.fixture
def clone(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with nothing pulled; the current folder."""
    folder = lab.clone(tmp_path / "clone")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EMDVC_CACHE_DIR", str(tmp_path / "kept"))
    return folder


def cached(clone: Path) -> set[str]:
    objects = clone / ".dvc" / "cache" / "files" / "md5"
    return {path.relative_to(objects).as_posix().replace("/", "") for path in objects.glob("??/*")}


def test_a_dataset_that_is_not_here(clone: Path) -> None:
    with open_dataset(SCAN) as dataset:
        assert dict(dataset.sizes) == {"y": 8, "x": 8, "ky": 6, "kx": 4}
        assert dataset["y"].attrs["units"] == "nm" and dataset["y"].values[1] == 0.5
        assert dataset["counts"].chunks is not None
        np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))
    assert not (clone / SCAN).exists()
    assert list((clone / ".dvc" / "tmp" / "emdvc" / "look").iterdir()) == []


@pytest.mark.parametrize("how", ["rev", "path@rev", "engine", "oid"])
def test_a_revision_back(clone: Path, how: str) -> None:
    oid = git("rev-parse", "HEAD~1", cwd=clone)
    found = {
        "rev": lambda: open_dataset(SCAN, rev="HEAD~1"),
        "path@rev": lambda: open_dataset(f"{SCAN}@HEAD~1"),
        "engine": lambda: xr.open_dataset(SCAN, engine="emdvc", rev="HEAD~1"),
        "oid": lambda: open_dataset(SCAN, oid),
    }[how]()
    with found as dataset:
        np.testing.assert_array_equal(dataset["counts"].values, numbers(OLD))


def test_two_revisions_under_one_name_are_two_for_dask(lab: Lab, clone: Path) -> None:
    git("branch", "moving", "HEAD~1", cwd=clone)
    with open_dataset(SCAN, rev="moving") as before:
        git("branch", "--force", "moving", "HEAD", cwd=clone)
        with open_dataset(SCAN, rev="moving") as after:
            changed = (after["counts"].astype("i4") - before["counts"].astype("i4")).compute()
    np.testing.assert_array_equal(changed, numbers(NEW).astype("i4") - numbers(OLD))


def test_only_what_is_read_comes_and_a_pull_fetches_the_rest(lab: Lab, clone: Path) -> None:
    objects = {name: "".join(path.parts[-2:]) for name, path in lab.objects().items()}
    with open_dataset(SCAN) as dataset:
        few = cached(clone)
        assert not few & {md5 for name, md5 in objects.items() if name.startswith("counts/0.")}
        np.testing.assert_array_equal(dataset["counts"][5, 1].values, numbers(NEW)[5, 1])
    assert cached(clone) - few == {objects["counts/1.0.0.0"]}
    taken = lab.object(objects["counts/1.0.0.0"])
    hidden = taken.with_name("hidden")
    taken.rename(hidden)
    try:
        subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=clone, check=True, timeout=120)
    finally:
        hidden.rename(taken)
    with open_dataset(SCAN) as dataset:
        np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))


@pytest.mark.parametrize("where", ["folder", "bare", "url"])
def test_another_repository(lab: Lab, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    repo = str(lab.project)
    if where != "folder":
        git("clone", "--quiet", "--bare", repo, str(tmp_path / "bare.git"), cwd=elsewhere)
        git("config", "uploadpack.allowFilter", "true", cwd=tmp_path / "bare.git")
        repo = str(tmp_path / "bare.git") if where == "bare" else (tmp_path / "bare.git").as_uri()
    with open_dataset(f"{SCAN}@second", repo=repo) as dataset:
        np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))
    with open_dataset(SCAN, rev="HEAD~1", repo=repo) as dataset:
        np.testing.assert_array_equal(dataset["counts"].values, numbers(OLD))
    if where != "folder":
        # what is new there is seen at the next opening, under the same name
        git(
            "update-ref",
            "refs/heads/main",
            git("rev-parse", "main~1", cwd=tmp_path / "bare.git"),
            cwd=tmp_path / "bare.git",
        )
        with open_dataset(SCAN, rev="main", repo=repo) as dataset:
            np.testing.assert_array_equal(dataset["counts"].values, numbers(OLD))
        assert len(list((tmp_path / "kept" / "clones").glob("*/.git"))) == 1
        shutil.rmtree(tmp_path / "bare.git")
        with (
            pytest.warns(UserWarning, match="cannot be asked for what is new"),
            open_dataset(SCAN, rev="second", repo=repo) as dataset,
        ):
            assert dataset["counts"].shape == (8, 8, 6, 4)


def test_another_process_reads_the_remote_itself(clone: Path) -> None:
    lazy = open_dataset(SCAN, rev="HEAD~1")
    shutil.rmtree(clone / ".dvc" / "cache")
    code = "import pickle, sys; print(int(pickle.load(sys.stdin.buffer).counts[:4].sum()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(lazy),
        capture_output=True,
        cwd=clone.parent,
        timeout=120,
        check=False,
    )
    lazy.close()
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) == int(numbers(OLD)[:4].sum())
    assert "Unclosed" not in done.stderr.decode()


def test_a_part_in_the_workspace_is_not_taken_for_the_whole(clone: Path) -> None:
    some = [f"{SCAN}/zarr.json", *(f"{SCAN}/{name}/zarr.json" for name in ("counts", "y", "x", "ky", "kx"))]
    subprocess.run(
        [sys.executable, "-m", "dvc", "pull", "-q", *some, f"{SCAN}/counts/0.0.0.0"], cwd=clone, check=True, timeout=120
    )
    with open_dataset(SCAN) as dataset:
        np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))
        assert dataset["y"].values[1] == 0.5


def test_what_lies_in_the_workspace_is_read_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.project)
    chunk = lab.project / SCAN / "counts" / "1.1.0.0"
    kept = chunk.read_bytes()
    chunk.unlink()
    chunk.write_bytes(lab.objects(rev="HEAD~1")["counts/1.1.0.0"].read_bytes())
    try:
        with open_dataset(SCAN) as dataset:
            np.testing.assert_array_equal(dataset["counts"][4:, 4:].values, numbers(OLD)[4:, 4:])
        with open_dataset(SCAN, rev="HEAD") as dataset:
            np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))
    finally:
        chunk.write_bytes(kept)


# --- never incomplete -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".dir", *FILES])
@pytest.mark.parametrize("fault", ["missing", "corrupt", "cut"])
def test_each_lost_object_is_an_error_that_names_it(lab: Lab, clone: Path, name: str, fault: str) -> None:
    file = lab.objects()[name]
    good = file.read_bytes()
    file.chmod(0o644)
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(good[: len(good) // 2] + (b"!" * (len(good) - len(good) // 2) if fault == "corrupt" else b""))
    try:
        with pytest.raises(DataMissingError) as told, open_dataset(SCAN, rev="HEAD") as dataset:
            dataset.load()
    finally:
        file.write_bytes(good)
    assert told.value.code == (Code.DATA_MISSING if fault == "missing" else Code.DATA_CORRUPT)
    said = str(told.value)
    assert f"{SCAN}@HEAD" in told.value.cause
    # y, x and so on hold the same in no two files, but some metadata are one object: any of its names will do
    names = [other for other, path in lab.objects().items() if path == file]
    said_name = "the list of its files" in said if name == ".dir" else any(f"{other}" in said for other in names)
    assert said_name, said
    with open_dataset(SCAN, rev="HEAD") as dataset:  # once it is mended there
        np.testing.assert_array_equal(dataset["counts"].values, numbers(NEW))


def test_a_remote_that_is_gone(lab: Lab, clone: Path) -> None:
    git("config", "--file", str(clone / ".dvc" / "config.local"), "remote.lab.url", "x", cwd=clone)
    (clone / ".dvc" / "config.local").write_text("['remote \"lab\"']\n    url = /no/such/folder\n", encoding="utf-8")
    with pytest.raises(DataMissingError, match="cannot be asked") as told:
        open_dataset(SCAN)
    assert "/no/such" in str(told.value)


def test_what_nobody_recorded(clone: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"no data raw/skan.zarr is recorded at HEAD") as told:
        open_dataset("raw/skan.zarr", rev="HEAD")
    assert told.value.hint == f"did you mean {SCAN}?"
    with pytest.raises(UsageError, match="unknown revision 'nowhere'"):
        open_dataset(SCAN, rev="nowhere")
    with pytest.raises(UsageError, match="two revisions"):
        open_dataset(f"{SCAN}@HEAD", rev="HEAD~1", repo=str(clone))
    with pytest.raises(DataMissingError, match="there is no remote nowhere: the remotes are: lab"):
        open_dataset(SCAN, remote="nowhere")
    with pytest.raises(ProjectError, match="not an emdvc project"):
        open_dataset(tmp_path / "x.zarr", rev="HEAD")


def test_200_cold_opens_are_complete(lab: Lab, clone: Path) -> None:
    wrong: list[object] = []
    total = {rev: int(numbers(seed).sum()) for rev, seed in (("HEAD", NEW), ("HEAD~1", OLD))}

    def look(rev: str) -> None:
        try:
            with open_dataset(SCAN, rev=rev, chunks=None) as dataset:
                if (
                    set(dataset.variables) != {"counts", "y", "x", "ky", "kx"}
                    or int(dataset["counts"].sum()) != total[rev]
                ):
                    wrong.append(dataset)
        except Exception as error:
            wrong.append(error)

    for _ in range(20):
        shutil.rmtree(clone / ".dvc" / "cache", ignore_errors=True)
        threads = [threading.Thread(target=look, args=("HEAD" if n % 2 else "HEAD~1",)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# --- what it costs --------------------------------------------------------------------------------------------------


def keys(endpoint: str, folder: Path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": str(folder / "none"),
    }


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch, s3_server: S3Server) -> Iterator[Path]:
    """A project with a scan of 2 GiB on S3, recorded twice, no two chunks alike."""
    folder = tmp_path_factory.mktemp("large")
    for name, value in keys(s3_server.endpoint, folder).items():
        machine.setenv(name, value)
    project = folder / "project"
    emdvc("init", str(project), "--remote", f"lab=s3://{s3_server.bucket}/large", cwd=folder)
    scan = write_large_scan(project / SCAN, distinct=True)
    emdvc("add", SCAN, cwd=project)
    emdvc("save", "-m", "a scan", cwd=project)
    chunk = scan / "counts" / "12.12.0.0"
    other = (scan / "counts" / "3.3.0.0").read_bytes()
    chunk.unlink()
    chunk.write_bytes(other)
    emdvc("add", SCAN, "--replace", "another chunk", cwd=project)
    emdvc("save", "-m", "again", cwd=project)
    close_all()
    yield project
    shutil.rmtree(folder)


COUNTED = """
import json, sys, emdvc
with emdvc.open_dataset(sys.argv[1], rev=sys.argv[2]) as dataset:
    part = eval("dataset['counts'][" + sys.argv[3] + "]").compute()
print(int(part.sum()))
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("rev", ["HEAD", "HEAD~1"])
@pytest.mark.parametrize("part", ["100, 100", "96:112, 96:112"], ids=["pattern", "region"])
def test_one_percent_of_the_bytes_and_20_requests(
    large: Path, tmp_path: Path, part: str, rev: str, s3_server: S3Server
) -> None:
    git("clone", "--quiet", str(large), "clone", cwd=tmp_path)
    stored = sum(path.stat().st_size for path in (large / SCAN).rglob("*") if path.is_file())
    server = urlsplit(s3_server.endpoint)
    with Line(str(server.hostname), int(server.port or 0)) as line:
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, SCAN, rev, part],
            cwd=tmp_path / "clone", env={**os.environ, **keys(f"http://{line.address}", tmp_path)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(line.requests) <= 20
        assert line.received + line.sent <= stored / 100
    with open_dataset(large / SCAN, rev=rev, chunks=None) as dataset:
        where = tuple(slice(*map(int, p.split(":"))) if ":" in p else int(p) for p in part.split(", "))
        assert int(done.stdout) == int(dataset["counts"][where].sum())
    assert done.stderr == ""


TIMED = """
import subprocess, sys, time, emdvc, shutil, dask.array, zarr, xarray, aiobotocore.session
from pathlib import Path
import emdvc.history.lazy.source, emdvc.history.storage.s3
scan = sys.argv[1]
def cold():
    shutil.rmtree(".dvc/cache", ignore_errors=True)
    shutil.rmtree(scan, ignore_errors=True)
    return time.perf_counter()
def region():
    with emdvc.open_dataset(scan) as dataset:
        return int(dataset["counts"][64:80, 64:80].sum().compute())
times, answers = {}, []
start = cold(); answers.append(region()); first = time.perf_counter() - start
start = cold(); answers.append(region()); times["region"] = min(first, time.perf_counter() - start)
start = cold()
with emdvc.open_dataset(scan) as dataset:
    total = int(dataset["counts"].sum().compute())
times["everything"] = time.perf_counter() - start
start = cold()
subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], check=True)
times["pull"] = time.perf_counter() - start
answers.append(region())
times["pull and open"] = time.perf_counter() - start
assert len(set(answers)) == 1, answers
import json; print(json.dumps(times))
"""


@pytest.mark.slow
@pytest.mark.server
def test_at_20_ms_it_beats_dvc_pull(large: Path, tmp_path: Path, s3_server: S3Server) -> None:
    import json

    git("clone", "--quiet", str(large), "clone", cwd=tmp_path)
    server = urlsplit(s3_server.endpoint)
    with Line(str(server.hostname), int(server.port or 0), delay_ms=20) as line:
        done = subprocess.run(
            [sys.executable, "-c", TIMED, SCAN], cwd=tmp_path / "clone",
            capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, **keys(f"http://{line.address}", tmp_path)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    times = json.loads(done.stdout)
    assert times["everything"] <= times["pull"], times
    assert times["region"] * 20 <= times["pull and open"], times
