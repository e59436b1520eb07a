"""Where a run keeps its finished blocks, so that it goes on after a kill, and that nobody else writes the same output.

The folder lies under ``.dvc/tmp``, which git and DVC ignore, and its name is a digest of everything that the result
depends on: the input's content and files, the steps with their versions and parameters, the calibration, the other
datasets that are read. A run with anything else starts anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emdvc.engine.file_lock import acquire, release
from emdvc.errors import Code, EnvironmentFault
from emdvc.formats.contract import Opened
from emdvc.formats.dataset import locate
from emdvc.formats.sidecar import path_of
from emdvc.history.project import Project
from emdvc.history.stage_deps import sources
from emdvc.model import record as rec
from emdvc.model.sidecar import Sidecar
from emdvc.steps.contract import Step

#: Raised when blocks are cut or kept otherwise, so that what an older emdvc left is not taken.
FORMAT = 1
#: Seconds that a run waits for another that writes the same output: one whose DVC was killed ends within one.
PATIENCE = 5.0


def key(
    step: Step,
    parameters: Any,
    source: Path,
    opened: Opened,
    sidecar: Sidecar,
    *,
    signal: str | None = None,
    folder: Path | None = None,
    state: Callable[[Path], str] | None = None,
) -> str:
    """Return a digest of everything that a result depends on.

    Parameters
    ----------
    step, parameters
        What is computed.
    source, opened, sidecar
        The input: its path, its calibration, its record.
    signal
        Which of its arrays.
    folder
        Where the paths of other datasets start that are read; default: the current folder.
    state
        Returns of a dataset's path what changes with its bytes; default: :func:`files`.
    """
    state = state or files
    declared = step.metadata(parameters)
    facts = {
        "format": FORMAT,
        "step": [step.name, step.versions(parameters), [files(path) for path in sources(step, parameters)]],
        "parameters": parameters.model_dump(mode="json"),
        "input": [state(locate(source)[0]), {name: info.digest for name, info in sidecar.variables.items()}, signal],
        "metadata": {name: repr(rec.get(opened.record, name)) for name in declared},
        "axes": {dim: repr(axis) for dim, axis in opened.axes.items() if f"axes.{dim}" in declared},
        "references": {
            role: _with_sidecar(locate((folder or Path()) / wanted.path)[0], state)
            for role, wanted in step.references(parameters).items()
        },
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _with_sidecar(data: Path, state: Callable[[Path], str]) -> list[str]:
    sidecar = path_of(data)  # its calibration
    return [state(data), files(sidecar) if sidecar.is_file() else ""]


def files(path: Path) -> str:
    """Return a digest of the names, sizes and times of the files of a dataset: it changes when they are written to."""
    found = hashlib.sha256()
    paths = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in paths:
        state = file.stat()
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        found.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return found.hexdigest()


@contextmanager
def kept(project: Project | None, output: Path, digest: str) -> Iterator[Path]:
    """Yield the folder where the finished blocks of a run are kept; it is removed when the block ends without error.

    Outside a project the folder lies beside the output, and is removed in any case.

    Parameters
    ----------
    project
        The project; None outside one.
    output
        What is written: no other run may write it meanwhile.
    digest
        What :func:`key` gave.

    Raises
    ------
    EnvironmentFault
        Another run writes the same output.
    """
    if project is None:
        folder = output.with_name(f".{output.name}.{os.getpid()}.blocks.partial")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with sole_writer(project, output) as runs:
        for old in runs.iterdir():
            if old.is_dir() and old.name != digest[:16]:
                shutil.rmtree(old, ignore_errors=True)  # of other data or parameters: of no use any more
        folder = runs / digest[:16]
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sole_writer(project: Project, output: Path) -> Iterator[Path]:
    """Let nobody else write an output meanwhile; yields the folder where its runs keep what they have.

    Raises
    ------
    EnvironmentFault
        Another run writes it.
    """
    # the project may be seen from the folder of one of its pipelines; the temporary folder lies at its root
    name = hashlib.sha256(str(output.absolute()).encode()).hexdigest()[:16]
    runs = Project.find(project.root).journal_dir / "runs" / name
    runs.mkdir(parents=True, exist_ok=True)
    with _alone(runs / "lock", output):
        yield runs


@contextmanager
def _alone(path: Path, output: Path) -> Iterator[None]:
    with path.open("a+", encoding="utf-8") as file:
        until = time.monotonic() + PATIENCE
        while not acquire(file):
            if time.monotonic() > until:
                holder = ""
                with suppress(OSError):
                    file.seek(0)
                    holder = file.read().strip()
                raise EnvironmentFault(
                    f"another run writes {output}",
                    code=Code.BUSY,
                    evidence=holder or None,
                    hint="wait until it is done, then run the same command again",
                )
            time.sleep(0.1)
        try:
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()}\n")
            file.flush()
            yield
        finally:
            release(file)
