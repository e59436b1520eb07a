"""Running an external program: what it prints is passed on, and what it left half written is taken as no result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from emdvc.engine.lifeline import ends_with_us
from emdvc.errors import Code, EnvironmentFault, StepError

#: Lines that an error shows of what a program said last.
_LAST = 5


def call(words: Sequence[str], variables: Mapping[str, str | None]) -> None:
    """Run a program until it ends; what it prints goes to stderr.

    Parameters
    ----------
    words
        The command line.
    variables
        Environment variables that are set for it; None takes one away.

    Raises
    ------
    StepError
        It ended with another exit status than 0.
    EnvironmentFault
        The system cannot start it.
    """
    environment = {key: value for key, value in os.environ.items() if variables.get(key, value) is not None}
    environment |= {key: value for key, value in variables.items() if value is not None}
    last: deque[str] = deque(maxlen=_LAST)
    try:
        process = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
    except OSError as error:
        raise EnvironmentFault(
            f"{words[0]} cannot be started", code=Code.PROGRAM_MISSING, evidence=str(error.strerror or error)
        ) from error
    with process, ends_with_us(process):
        assert process.stdout is not None
        for line in process.stdout:
            text = line.decode("utf-8", "replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            if text.strip():
                last.append(text.rstrip())
    if process.returncode != 0:
        raise StepError(
            f"{Path(words[0]).name} failed: exit status {process.returncode}",
            code=Code.PROGRAM_FAILED,
            evidence="\n  ".join(line.strip() for line in last) or "it printed nothing",
        )


@contextmanager
def whole_results(results: Sequence[Path], aside: Path | None) -> Iterator[None]:
    """Let a program write its results where nothing lies: they are there when it succeeds, or what was there before.

    Parameters
    ----------
    results
        Files or folders that it writes.
    aside
        Where to keep what lay there, and then what a program that failed has written; None outside a project.
    """
    if aside is None:
        yield
        return
    before, failed = aside / "before", aside / "failed"
    for folder in (before, failed):
        _remove(folder)
    moved = [(path, before / str(number)) for number, path in enumerate(results) if os.path.lexists(path)]
    for path, kept in moved:
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.replace(kept)
    for path in results:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in results:
            if os.path.lexists(path):
                failed.mkdir(parents=True, exist_ok=True)
                path.replace(failed / path.name)
        for path, kept in moved:
            kept.replace(path)
        raise
    finally:
        _remove(before)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
