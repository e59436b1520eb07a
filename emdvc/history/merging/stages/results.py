"""Merging what stages write and git keeps (sidecars of results, pictures, metrics): it follows dvc.lock.

Such a file is one side's whole: half of one run's numbers and half of another's would be nobody's result. Where the
entry of its stage is kept, it is the file of the side that computed it; where the stage is to be computed again, it
stays as it was before both changed it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.formats.sidecar import SUFFIX
from emdvc.history import git
from emdvc.history.merging.contract import Choices, Merged, Place, Side, Three
from emdvc.history.merging.stages.lock import Decided, Fate, decision
from emdvc.history.merging.stages.lock_entries import LockFile, read
from emdvc.history.merging.stages.lock_order import Wdirs, paths_of
from emdvc.history.merging.stages.lock_pipeline import PipelineBeside, declared, in_project
from emdvc.history.recorded import stage_address

_LOCK, _PIPELINE = "dvc.lock", "dvc.yaml"
# of a folder: name -> bytes
_Texts = dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class _Stage:
    """The stage that writes a file, and what the sides say of it.

    Parameters
    ----------
    name
        Of the stage.
    out
        The file, or the data it speaks of, relative to the folder of dvc.lock.
    locks
        The dvc.lock of the three sides; empty where one is not known.
    wdirs
        The stages that run in folders of their own.
    declared
        The sides whose dvc.yaml has the stage.
    address
        As DVC speaks of it from the project's folder.
    """

    name: str
    out: str
    locks: Mapping[Side, LockFile]
    wdirs: Wdirs
    declared: frozenset[Side]
    address: str


def written_by_stage(three: Three, place: Place) -> str | None:
    """Return the stage that writes a file which git keeps, as DVC addresses it; None where none does.

    Parameters
    ----------
    three
        The file: one that a dvc.yaml or a dvc.lock of any side names as an output, or the sidecar of such an output
        that says how it was computed.
    place
        Where the merge happens; without its commits the pipeline of the workspace is asked.

    Raises
    ------
    MetadataError
        A dvc.lock or a dvc.yaml that names the file is no YAML.
    """
    found = _stage(three, place)
    return None if found is None else found.address


def merge_result(three: Three, place: Place, choices: Choices) -> Merged:
    """Return the file of the side that computed what the merged dvc.lock records; nothing is asked about.

    Raises
    ------
    MetadataError
        A dvc.lock or a dvc.yaml that names the file is no YAML.
    """
    del choices
    found = _stage(three, place)
    if found is None or not found.locks:
        why = "git does not tell which commits are merged"
        return Merged(_neutral(three), notes=(_said(three, found, why),))
    decided = decision(found.name, found.locks)
    if decided.fate is Fate.KEPT:
        return Merged(_followed(three, found, decided))
    if found.declared != frozenset(Side) and Side.BASE in found.declared:
        return Merged(None, notes=(f"{three.path}: goes with its stage {found.address}",))
    # of an entry that is dropped the merge of dvc.lock tells, once for all files of the stage
    said = () if decided.fate is Fate.DROPPED else (_said(three, found, "dvc.lock says nothing of its stage"),)
    return Merged(_neutral(three), notes=said)


def _followed(three: Three, stage: _Stage, decided: Decided) -> bytes | None:
    """Return the file that a kept entry records, or that lies with the side which has the entry."""
    recorded = paths_of(stage.name, [decided.text], "outs", stage.wdirs).get(stage.out)
    for side in Side:
        content = three.side(side)
        if content is not None and recorded == hashlib.md5(content, usedforsecurity=False).hexdigest():
            return content
    sides = decided.sides & {Side.OURS, Side.THEIRS}
    return three.side(next(iter(sides))) if len(sides) == 1 else _neutral(three)


def _neutral(three: Three) -> bytes | None:
    """Return what does not depend on which side is ours: the base's file, else the smaller one."""
    if three.base is not None:
        return three.base
    both = [content for content in (three.ours, three.theirs) if content is not None]
    return min(both, key=lambda content: (len(content), content)) if both else None


def _said(three: Three, stage: _Stage | None, why: str) -> str:
    what = "left as it was before both sides changed it" if three.base is not None else "the smaller one of both"
    again = f": dvc repro {stage.address}" if stage is not None else ""
    return f"{three.path}: {what}; {why}{again}"


def _stage(three: Three, place: Place) -> _Stage | None:
    for folder, texts in _pipelines(three.path, place):
        locks = {side: read(said[_LOCK], f"{folder / _LOCK} ({side})") for side, said in texts.items()}
        pipelines = {side: (said[_PIPELINE] or b"").decode("utf-8", "replace") for side, said in texts.items()}
        own = in_project(folder, place)
        wdirs = PipelineBeside(own, list(pipelines.values())).wdirs
        names = _names(three, folder)
        found = _by_lock(names, locks, wdirs) or _by_pipeline(names, pipelines.values())
        if found is not None:
            name, out = found
            there = [side for side, text in pipelines.items() if PipelineBeside(own, [text]).declares(name)]
            known = locks if set(place.commits) == set(Side) else {}
            return _Stage(name, out, known, wdirs, frozenset(there), stage_address(name, own))
    return None


def _pipelines(
    path: PurePosixPath, place: Place
) -> Iterator[tuple[PurePosixPath, dict[Side, dict[str, bytes | None]]]]:
    """Yield the folders above a file that have a dvc.lock or a dvc.yaml, nearest first, with both on each side."""
    root = place.project.git_root
    if not place.commits:
        for folder in path.parents:
            files = {name: root / folder / name for name in (_LOCK, _PIPELINE)}
            here = {name: file.read_bytes() if file.is_file() else None for name, file in files.items()}
            if any(content is not None for content in here.values()):
                yield folder, {Side.OURS: here}
        return
    asked = {
        (folder, side, name): f"{commit}:{(folder / name).as_posix()}"
        for folder in path.parents for side, commit in place.commits.items() for name in (_LOCK, _PIPELINE)
    }  # fmt: skip
    contents = git.contents(list(asked.values()), root)
    for folder in path.parents:
        there = {
            side: {name: contents.get(asked[folder, side, name]) for name in (_LOCK, _PIPELINE)}
            for side in Side if side in place.commits
        }  # fmt: skip
        if any(content is not None for said in there.values() for content in said.values()):
            yield folder, there


def _names(three: Three, folder: PurePosixPath) -> list[str]:
    """Return the file as a pipeline names it; of a sidecar that says how its data was computed also that data."""
    path = PurePosixPath(os.path.relpath(three.path, folder).replace(os.sep, "/"))
    names = [path.as_posix()]
    told = any(b"\nprovenance:" in (three.side(side) or b"") for side in Side)
    if path.name.endswith(SUFFIX) and path.name != SUFFIX and told:
        names.append(path.with_name(path.name.removesuffix(SUFFIX)).as_posix())
    return names


def _by_lock(names: list[str], locks: Mapping[Side, LockFile], wdirs: Wdirs) -> tuple[str, str] | None:
    for path in names:
        # most files are no stage's: entries that do not name this one are not looked at
        last = PurePosixPath(path).name
        for lock in locks.values():
            for name, text in lock.stages.items():
                if last in text and path in paths_of(name, [text], "outs", wdirs):
                    return name, path
    return None


def _by_pipeline(names: list[str], texts: Iterable[str]) -> tuple[str, str] | None:
    """Return the stage of a dvc.yaml that declares a file; a ``${...}`` in a path fits any text."""
    for text in texts:
        for path in names:
            if "${" not in text and PurePosixPath(path).name not in text:
                continue
            for name, out in declared(text):
                if out.fullmatch(path):
                    return name, path
    return None
