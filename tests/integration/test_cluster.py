"""The same bytes on a dask cluster with real worker processes, also when one is killed in mid-run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import every_output as every
import pytest
from command_line import Emdvc
from recipe_project import RECIPE, write_scan

from emdvc.engine.cluster import Cluster
from emdvc.engine.executors import executor
from emdvc.engine.how import How
from emdvc.errors import EnvironmentFault, StepError, UsageError
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EelsPhantom
from emdvc.testing.write import write_zarr

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.filterwarnings("default::ResourceWarning")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a cluster of two worker processes, one thread each, on the loopback interface."""
    started = distributed.LocalCluster(
        n_workers=2,
        processes=True,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a scan of four blocks."""
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.zarr")


@pytest.mark.parametrize("kind", ["patterns", "spectra"])
def test_same_bytes_on_every_way(kind: str, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of output: one thread, two threads, two worker processes."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 16)
    if kind == "patterns":
        path = write_zarr(tmp_path / "scan.zarr", DiffractionPhantom((16, 18), (32, 32)), scan_chunk=4)
        recipe = every.known(every.PATTERNS)
    else:
        path = write_zarr(tmp_path / "scan.zarr", EelsPhantom((12, 10)), scan_chunk=4)
        recipe = every.known(every.SPECTRA)
    expected = every.digests(every.run(path, recipe, How(threads=1)))
    assert len(expected) >= len(recipe)
    assert every.digests(every.run(path, recipe, How(threads=2, folder=tmp_path / "kept"))) == expected
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        how = How(executor=Cluster(client), folder=tmp_path / "cluster")
        assert every.digests(every.run(path, recipe, how)) == expected


def test_the_command_line_and_the_environment(cluster: Any, scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """``--scheduler`` and ``EMDVC_SCHEDULER`` give the files of a run in threads."""
    data = tmp_path / "scan.zarr"
    data.symlink_to(scan)
    emdvc("run", "recipe", data, "here", *RECIPE)
    address = cluster.scheduler_address
    emdvc("run", "recipe", data, "there", *RECIPE, "--scheduler", address)
    shutil.move(tmp_path / "there", tmp_path / "other")
    shutil.move(tmp_path / "here", tmp_path / "there")
    expected = every.tree(tmp_path / "there")
    assert every.tree(tmp_path / "other") == expected
    shutil.rmtree(tmp_path / "other")
    emdvc("run", "recipe", data, "other", *RECIPE, env={"EMDVC_SCHEDULER": address})
    assert every.tree(tmp_path / "other") == expected


def test_a_worker_that_is_killed(cluster: Any, scan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its blocks are computed by the other: every block once in the result, and the bytes of a run in threads."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 20)
    recipe = {
        name: every.PATTERNS[name] for name in ("sum_pattern", "center_of_mass", "find_peaks", "frame_statistics")
    }
    expected = every.digests(every.run(scan, recipe, How(threads=2)))
    killed: list[int] = []
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)
        pids = list(client.run(os.getpid).values())

        def kill_one() -> None:
            killed.append(pids[0])
            os.kill(pids[0], getattr(signal, "SIGKILL", signal.SIGTERM))

        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if done >= 200 and not killed:
                kill_one()

        how = How(executor=Cluster(client), advance=advance)
        assert every.digests(every.run(scan, recipe, how)) == expected
    assert killed
    assert done == 1024


def test_a_fault_of_the_data_is_told_as_in_threads(cluster: Any, tmp_path: Path) -> None:
    """The error of a worker comes back whole: what is wrong, where, and what helps."""
    import numpy as np
    import zarr

    group = zarr.open_group(tmp_path / "scan.zarr", mode="w")
    values = np.ones((6, 5, 8, 8), np.float32)
    values[4, 3, 2, 1] = np.nan
    group.create_array("counts", data=values, chunks=(2, 5, 8, 8), dimension_names=("y", "x", "ky", "kx"))
    said = []
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        for how in (How(threads=1), How(executor=Cluster(client))):
            with pytest.raises(StepError) as caught:
                every.run(tmp_path / "scan.zarr", {"sum_pattern": {}}, how)
            said.append(str(caught.value))
    assert said[0] == said[1]
    assert "y=4, x=3, ky=2, kx=1" in said[0]


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emdvc.engine.executors._PATIENCE", 1)
    with pytest.raises(EnvironmentFault, match="no dask scheduler"), executor("tcp://127.0.0.1:9"):
        pass


def test_a_profile_of_this_machine(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """A profile file starts its own cluster, and it is gone afterwards."""
    import psutil

    profile = tmp_path / "here.yaml"
    profile.write_text("kind: local\njobs: 2\nthreads_per_worker: 1\nhost: 127.0.0.1\n", encoding="utf-8")
    emdvc("run", "recipe", scan, "here", *RECIPE)
    emdvc("run", "recipe", scan, "there", *RECIPE, "--scheduler", profile)
    assert every.tree(tmp_path / "here").keys() == every.tree(tmp_path / "there").keys()
    arrays = [name for name in every.tree(tmp_path / "here") if not name.endswith(".yaml")]
    here, there = every.tree(tmp_path / "here"), every.tree(tmp_path / "there")
    assert [here[name] for name in arrays] == [there[name] for name in arrays]
    left = [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]
    assert not left


def test_profiles_that_say_something_else(tmp_path: Path) -> None:
    profile = tmp_path / "cluster.yaml"
    with pytest.raises(UsageError, match="neither an address nor a profile"), executor(str(profile)):
        pass
    for text, words in (
        ("kind: cloud\n", "no profile of a cluster"),
        ("- slurm\n", "no profile of a cluster"),
        ("kind: local\njobs: none\n", "jobs must be a whole number"),
    ):
        profile.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=words), executor(str(profile)):
            pass


def test_a_batch_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of a profile stand in the job script that is handed to SLURM: to an `sbatch` that keeps it."""
    pytest.importorskip("dask_jobqueue")
    if os.name == "nt":
        pytest.skip("a batch system of Unix")
    kept = tmp_path / "jobs"
    kept.mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f'#!/bin/sh\ncp "$1" {kept}/job-$$\necho "Submitted batch job $$"\n', encoding="utf-8")
    sbatch.chmod(0o755)
    (tmp_path / "bin" / "scancel").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "bin" / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(sbatch.parent), os.environ["PATH"]]))
    profile = tmp_path / "slurm.yaml"
    profile.write_text(
        "kind: slurm\njobs: 3\ncores: 16\nmemory: 64GB\nwalltime: '02:00:00'\nqueue: em\naccount: beamtime\n"
        "scheduler_options: {host: 127.0.0.1, dashboard_address: '127.0.0.1:0'}\n",
        encoding="utf-8",
    )
    with executor(str(profile)) as place:
        assert isinstance(place, Cluster)
        end = time.monotonic() + 20
        while time.monotonic() < end and len(list(kept.iterdir())) < 3:
            time.sleep(0.05)
    scripts = [path.read_text(encoding="utf-8") for path in kept.iterdir()]
    assert len(scripts) == 3
    for line in ("#SBATCH -p em", "#SBATCH -A beamtime", "#SBATCH -t 02:00:00", "--cpus-per-task=16"):
        assert line in scripts[0]


def test_without_dask(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """An error that says what to install, where dask is not."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "distributed.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    env = {"PYTHONPATH": str(tmp_path / "hidden")}
    done = emdvc("run", "virtual_image", scan, "i.zarr", "--scheduler", "tcp://127.0.0.1:9", status=2, env=env)
    assert "emdvc[distributed]" in done.stderr
