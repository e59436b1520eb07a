"""What two sidecars of a result say of how it was computed, where no stage tells: by hand, or before there was one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.keys import section
from emdvc.compare.causes.lineage import Lineage
from emdvc.compare.leaves import known, leaves
from emdvc.compare.measure import same_measure, typed
from emdvc.model import sidecar as model


def version_cause(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[Cause]:
    """Yield the version of the step where that differs."""
    if before is None or after is None or before.get("step") != after.get("step"):
        return
    versions = before.get("version"), after.get("version")
    if versions[0] != versions[1] and None not in versions:
        yield Cause(CauseKind.VERSION, str(after.get("step")), before=versions[0], after=versions[1])


def provenance_causes(old: Lineage, new: Lineage, path: PurePosixPath, former: PurePosixPath) -> Iterator[Cause]:
    """Yield what differs of a result's provenance: step, version, parameters, inputs, and the metadata that it read.

    Parameters
    ----------
    old, new
        The revisions.
    path, former
        The result, and what it was called before.
    """
    before, after = old.provenance(former), new.provenance(path)
    if before is None or after is None:
        return
    step = str(after.get("step") or path)
    if before.get("step") != after.get("step"):
        yield Cause(CauseKind.COMMAND, str(path), before=before.get("step"), after=after.get("step"))
    yield from version_cause(before, after)
    for key, was, now in _differing(section(before, "parameters"), section(after, "parameters")):
        yield Cause(CauseKind.PARAMETER, step, key, typed(was), typed(now))
    yield from _input_causes(section(before, "inputs"), section(after, "inputs"))
    read = {str(key) for one in (before, after) for key in one.get("metadata") or ()}
    trees = _record(old, former), _record(new, path)
    for key, was, now in _differing(trees[0], trees[1]):
        if any(key == one or key.startswith(f"{one}.") for one in read):
            yield Cause(CauseKind.METADATA, str(_origin(new, path)), key, was, now)


def _differing(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    was, now = dict(leaves(before)), dict(leaves(after))
    for key in dict.fromkeys((*was, *now)):
        values = known(was.get(key)), known(now.get(key))
        if not same_measure(*values):
            yield key, *values


def _input_causes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Cause]:
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            yield Cause(CauseKind.INPUT, name, after="now read" if name in after else "no longer read")
        elif before[name] != after[name]:
            yield Cause(CauseKind.INPUT, name, after="values")


def _record(lineage: Lineage, path: PurePosixPath) -> dict[str, Any]:
    """Return the record of a dataset with what it inherits."""
    record: dict[str, Any] = {}
    for one in _chain(lineage, path):
        sidecar = lineage.sidecar(one)
        record = model.merge(sidecar.record if sidecar is not None else {}, record)
    return record


def _origin(lineage: Lineage, path: PurePosixPath) -> PurePosixPath:
    return _chain(lineage, path)[-1]


def _chain(lineage: Lineage, path: PurePosixPath) -> list[PurePosixPath]:
    """Return a dataset and those that it inherits from, itself first."""
    found = [path]
    while (sidecar := lineage.sidecar(found[-1])) is not None and sidecar.inherits is not None:
        above = PurePosixPath(os.path.normpath(found[-1].parent / sidecar.inherits).replace(os.sep, "/"))
        if above in found or lineage.sidecar(above) is None:
            break
        found.append(above)
    return found
