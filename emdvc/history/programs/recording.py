"""What is written of an external program's run: what it ran with, and a sidecar beside each dataset it wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emdvc.errors import EmdvcError, FormatError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.model.sidecar import Sidecar

#: Ending of the file that says what a stage's program ran with.
RECORD = ".environment.txt"
#: What the provenance calls the step.
STEP = "command"
#: Arrays up to this many bytes are read once more for their statistics.
_SMALL = 64 << 20


def record_text(environment: str, lines: Sequence[str]) -> str:
    """Return the text of the file that says what a program ran with."""
    return "".join(f"{line}\n" for line in (f"# {environment}", *lines))


def digest(text: str) -> str:
    """Return the digest of a text, as a provenance holds it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def provenance(
    command: str, environment: str, record: str, parameters: Mapping[str, Any], inputs: Sequence[tuple[str, Path]]
) -> dict[str, Any]:
    """Return how a result of a program came to be; nothing in it depends on the machine.

    Parameters
    ----------
    command
        The command line, as the stage has it.
    environment
        As the stage names it.
    record
        What it holds, as a text.
    parameters
        What the program was given.
    inputs
        What the stage depends on: as it is named, and where it lies.
    """
    return {
        "step": STEP,
        "command": command,
        "environment": environment,
        "environment_digest": digest(record),
        "parameters": dict(parameters),
        "inputs": {name: {"digest": _input_digest(path)} for name, path in inputs},
    }


def write_sidecar(path: Path, origin: dict[str, Any]) -> Sidecar:
    """Describe a dataset that a program wrote, in the sidecar beside it.

    What a vendor's tree holds is left out: programs write times and versions there.

    Raises
    ------
    FormatError
        It is no dataset.
    """
    from emdvc.formats import registry
    from emdvc.formats.describe import describe
    from emdvc.formats.digest import content_digest

    try:
        opened = registry.open_file(path)
    except EmdvcError as error:
        raise FormatError(
            f"{path.as_posix()} is no dataset that emdvc reads",
            code=error.code,
            evidence=error.evidence or error.cause,
            hint=f"take {sidecars.path_of(path).name} out of the stage's metrics in dvc.yaml",
        ) from error
    try:
        digests = {variable.name: content_digest(variable.array) for variable in opened.variables}
        found = describe(opened, options=ReadOptions(), files=[], digests=digests)
        written = replace(found, source={}, vendor={}, provenance=origin, statistics=_statistics(opened))
    finally:
        opened.close()
    sidecars.write(path, written)
    return written


def readable(name: str) -> bool:
    """Say whether emdvc knows a file by its ending, so that a sidecar can describe it."""
    from emdvc.formats.readers.table import NATIVE

    endings = {ending for info in NATIVE if info.name != "raw" for ending in info.extensions}
    return name.lower().endswith(tuple(endings))


def _statistics(opened: Opened) -> dict[str, Any]:
    from emdvc.formats.statistics import statistics

    found = {}
    for variable in opened.variables:
        array = variable.array
        size = array.dtype.itemsize
        for samples in array.shape:
            size *= samples
        if 0 < size <= _SMALL and array.dtype.kind in "biuf":
            found[variable.name] = statistics(array.read(tuple(slice(0, n) for n in array.shape)))
    return found


def _input_digest(path: Path) -> str:
    """Return the digest of the main array of a dataset with a sidecar, that of a file's bytes, or nothing."""
    if sidecars.path_of(path).is_file():
        found = sidecars.read(path)
        info = found.variables.get(found.main)
        return info.digest if info is not None else ""
    if not path.is_file():
        return ""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return f"sha256:{hashed.hexdigest()}"
