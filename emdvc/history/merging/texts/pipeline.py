"""Merges dvc.yaml: stage by stage and key by key, and says where the merged pipeline is one that DVC would refuse."""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from emdvc.history.merging.contract import ABSENT, Choices, Conflict, Merged, Place, Side, Three
from emdvc.history.merging.texts.mapping import DefaultRules, Kind, merge_text, merge_values
from emdvc.history.merging.texts.values import Path, Question, dotted

#: Keys of a stage that name what it writes.
_OUTPUTS = ("outs", "metrics", "plots")
_NAMED = ("deps", "params", *_OUTPUTS)


class PipelineRules(DefaultRules):
    """What holds for dvc.yaml: a command is an atom; files are named by their paths, parameters by their names."""

    def atom(self, path: Path, value: Any) -> bool:
        """Say whether a value moves as a whole: a command does, also where it is a list of several."""
        return path[-1:] == ("cmd",)

    def same(self, path: Path, ours: Any, theirs: Any) -> bool:
        """Say whether two values say the same: only equal ones do."""
        return False

    def names(self, path: Path, members: list[Any]) -> list[Hashable] | None:
        """Return a name for each member of a list; None where it moves as a whole."""
        if path[-1:] == ("params",):
            return _parameter_names(members)
        if path[-1:] and path[-1] in _NAMED:
            return _file_names(members)
        return super().names(path, members)


def merge_pipeline(three: Three, place: Place, choices: Choices) -> Merged:
    """Merge a dvc.yaml by stage and by key.

    Two stages that write the same file, one added on either side, are a conflict: DVC refuses such a pipeline.
    """
    return merge_text(three, choices, Kind(PipelineRules(), _written_twice, _unsound))


def _parameter_names(members: list[Any]) -> list[Hashable] | None:
    """Return the names of parameters of params.yaml, and of other files with keys.

    A name and a file are told apart: both may be spelt alike.
    """
    found: list[Hashable] = []
    for member in members:
        if isinstance(member, str):
            found.append(member)
        elif isinstance(member, dict) and len(member) == 1:
            found.append(str(next(iter(member))))
        else:
            return None
    return found if len(set(found)) == len(found) else None


def _file_names(members: list[Any]) -> list[Hashable] | None:
    found: list[Hashable] = [_path_of(member) for member in members]
    return found if None not in found and len(set(found)) == len(found) else None


def _path_of(member: Any) -> str | None:
    if isinstance(member, dict):
        return str(next(iter(member))) if len(member) == 1 else None
    return None if member is None or isinstance(member, list) else str(member)


# --- what DVC would refuse --------------------------------------------------------------------------------------------


def _written_twice(sides: Mapping[Side, Any]) -> list[Question]:
    """Return a conflict for each file that two stages write once both sides are in, while neither side wrote it twice.

    What is asked about is a stage that only one side has, or the entry of one that both have.
    """
    merged, _ = merge_values(sides[Side.BASE], sides[Side.OURS], sides[Side.THEIRS], PipelineRules())
    both = _writers(merged)
    there = {side: _writers(value) for side, value in sides.items()}
    found: list[Question] = []
    taken: set[Path] = set()
    for path in sorted(both):
        at = both[path]
        if len(at) < 2 or any(len(there[side].get(path, ())) > 1 for side in (Side.OURS, Side.THEIRS)):
            continue
        places = {_asked_about(sides, place) for place in at if place not in there[Side.BASE].get(path, ())} - taken
        if not places:
            continue
        taken |= places
        base, ours, theirs = (_told(there[side].get(path, ())) for side in Side)
        new = min(place for place in at if place not in there[Side.BASE].get(path, ()))
        why = f"stages {' and '.join(sorted({str(place[1]) for place in at}))} would both write {path}"
        conflict = Conflict(dotted(new), base, ours, theirs, why)
        found.append(Question(conflict, frozenset(places)))
    return found


def _told(places: Iterable[Path]) -> Any:
    stages = sorted(str(place[1]) for place in places)
    return f"written by {', '.join(stages)}" if stages else ABSENT


def _asked_about(sides: Mapping[Side, Any], place: Path) -> Path:
    """Return the stage where only one side has it, else the one entry of it."""
    have = [side for side, value in sides.items() if place[1] in _stages(value)]
    return place[:2] if len(have) == 1 else place


def _writers(pipeline: Any) -> dict[str, list[Path]]:
    """Return which entries of which stages write each file, or a folder that it lies in."""
    exact: dict[str, list[Path]] = {}
    for name, stage in _stages(pipeline).items():
        for key in _OUTPUTS:
            for path in _paths(stage, key):
                exact.setdefault(_in_place(stage, path), []).append(("stages", name, key, path))
    return {path: [place for part in (path, *_folders_above(path)) for place in exact.get(part, ())] for path in exact}


def _folders_above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
        if path == "/":
            return


def _stages(pipeline: Any) -> dict[Any, dict[str, Any]]:
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    return {k: v for k, v in stages.items() if isinstance(v, dict)} if isinstance(stages, dict) else {}


def _paths(stage: dict[str, Any], key: str) -> list[str]:
    """Return the paths that an entry of a stage names; those with ``${...}`` are known to DVC alone."""
    members = stage.get(key)
    names = (_path_of(member) for member in members) if isinstance(members, list) else ()
    return [name for name in names if name is not None and "${" not in name]


def _in_place(stage: dict[str, Any], path: str) -> str:
    return posixpath.normpath(posixpath.join(str(stage.get("wdir") or ""), path))


def _unsound(pipeline: Any, sides: Mapping[Side, Any]) -> list[str]:
    """Return sentences about what no longer fits together, though it did on each side."""
    before = [sides[Side.OURS], sides[Side.THEIRS]]
    notes = []
    if (ring := _ring(pipeline)) and not any(_ring(side) for side in before):
        notes.append(f"stages {', '.join(ring)} now wait for each other: dvc refuses such a pipeline")
    writers = _writers(pipeline)
    gone = {path for side in before for path in _writers(side)} - set(writers)
    for name, stage in sorted(_stages(pipeline).items(), key=lambda pair: str(pair[0])):
        lost = [path for path in _paths(stage, "deps") if _in_place(stage, path) in gone]
        notes += [f"stage {name} depends on {path}, which no stage writes any more" for path in lost]
    return notes


def _ring(pipeline: Any) -> list[str]:
    """Return stages that depend on each other in a ring; none where there is no ring."""
    stages = _stages(pipeline)
    writers = _writers(pipeline)
    needs = {
        str(name): {
            str(place[1]) for path in _paths(stage, "deps") for place in _made_by(writers, _in_place(stage, path))
        }
        for name, stage in stages.items()
    }
    # what needs nothing that is left goes, until nothing more does
    left = set(needs)
    while ready := {name for name in left if not needs[name] & left}:
        left -= ready
    while ends := {name for name in left if not any(name in needs[other] for other in left)}:
        left -= ends
    return sorted(left)


def _made_by(writers: dict[str, list[Path]], path: str) -> list[Path]:
    return [place for part in (path, *_folders_above(path)) for place in writers.get(part, ())]
