"""Which executor a run takes: threads of its own, a dask cluster that is there, or one that a profile describes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emdvc.engine.how import Executor
from emdvc.errors import Code, EnvironmentFault, UsageError

#: What a profile may describe.
KINDS = ("slurm", "pbs", "lsf", "sge", "local")
#: Seconds that a scheduler may take to answer.
_PATIENCE = 20
_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}


@contextmanager
def executor(scheduler: str | None = None) -> Iterator[Executor | None]:
    """Yield where blocks are computed; None for threads of this process.

    Parameters
    ----------
    scheduler
        Address of a dask scheduler, or path of a profile (YAML); default: ``EMDVC_SCHEDULER``.

    Raises
    ------
    UsageError
        The profile is not there or says what no profile says.
    EnvironmentFault
        dask is not installed, or the scheduler does not answer.
    """
    scheduler = scheduler or os.environ.get("EMDVC_SCHEDULER") or None
    if scheduler is None:
        yield None
        return
    try:
        import distributed
    except ImportError as error:
        raise EnvironmentFault(
            "a scheduler needs dask, which is not installed",
            code=Code.PROGRAM_MISSING,
            hint="pip install 'emdvc[distributed]'",
        ) from error
    from emdvc.engine.cluster import Cluster

    if "://" in scheduler:
        with _connected(distributed, scheduler) as client:
            yield Cluster(client)
        return
    with _started(distributed, Path(scheduler)) as started, _connected(distributed, started) as client:
        yield Cluster(client)


@contextmanager
def _connected(distributed: Any, address: Any) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EnvironmentFault(
            f"no dask scheduler answers at {address}",
            code=Code.PROGRAM_FAILED,
            evidence=" ".join(str(error).split())[:200] or type(error).__name__,
            hint="start one with `dask scheduler`, workers with `dask worker ADDRESS`; then --scheduler tcp://HOST:8786",
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _started(distributed: Any, path: Path) -> Iterator[Any]:
    kind, workers, options = _profile(path)
    if kind == "local":
        cluster = distributed.LocalCluster(**{"n_workers": workers, "dashboard_address": ":0", **options})
    else:
        try:
            import dask_jobqueue
        except ImportError as error:
            raise EnvironmentFault(
                f"a profile of kind {kind} needs dask-jobqueue, which is not installed",
                code=Code.PROGRAM_MISSING,
                hint="pip install 'emdvc[distributed]'",
            ) from error
        cluster = getattr(dask_jobqueue, _CLASSES[kind])(**options)
        cluster.scale(jobs=workers)
    try:
        yield cluster
    finally:
        cluster.close()


def _profile(path: Path) -> tuple[str, int, dict[str, Any]]:
    """Return kind, number of workers (of a queue: jobs) and the options of a profile."""
    from emdvc.formats.sidecar import load_yaml

    if not path.is_file():
        raise UsageError(
            f"--scheduler {path} is neither an address nor a profile",
            evidence="an address looks like tcp://host:8786; there is no such file",
            hint="a profile is YAML: {kind: slurm, jobs: 4, cores: 16, memory: 64GB, walltime: '02:00:00'}",
        )
    said = load_yaml(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(said, dict) or said.get("kind") not in KINDS:
        raise UsageError(
            f"{path} is no profile of a cluster",
            evidence=f"`kind` is {said.get('kind')!r}" if isinstance(said, dict) else "it is no mapping",
            hint=f"kind is one of {', '.join(KINDS)}",
        )
    options = {str(key): value for key, value in said.items() if key not in ("kind", "jobs")}
    jobs = said.get("jobs", 1)
    if not isinstance(jobs, int) or jobs < 1:
        raise UsageError(f"{path}: jobs must be a whole number from 1 on", evidence=f"it is {jobs!r}")
    return str(said["kind"]), jobs, options
