"""Merging dvc.lock: an entry is what a stage was computed from and what came of it, and is kept whole or not at all.

The inputs of the three sides (command, dependencies, parameters) are merged atom by atom. Where that gives the inputs
of one side, what that side computed is right for them, and its entry is kept. Where it gives inputs that nobody
computed with, the entry goes: the stage is computed again. There is nothing to ask about, so there is no conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from emdvc.history.merging.contract import Choices, Merged, Place, Side, Three
from emdvc.history.merging.stages.lock_entries import Entry, LockFile, entry, read
from emdvc.history.merging.stages.lock_order import affected, ends, in_order
from emdvc.history.merging.stages.lock_pipeline import PipelineBeside

_NOTHING = Entry({}, {})
_SHOWN = 3


class Fate(StrEnum):
    """What becomes of an entry."""

    KEPT = "kept"
    DROPPED = "dropped"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of the entry of a stage.

    Parameters
    ----------
    fate
        Kept as one side has it; dropped, because nobody computed with the merged inputs; or gone, as one side wished.
    sides
        Of an entry that is kept, those that have it so, the base among them.
    text
        Of an entry that is kept.
    why
        Of one that is dropped: what the two sides did.
    """

    fate: Fate
    sides: frozenset[Side] = frozenset()
    text: str = ""
    why: str = ""


def merge_lock(three: Three, place: Place, choices: Choices) -> Merged:
    """Merge a dvc.lock; nothing of it is ever asked about, so that `choices` do not matter.

    Raises
    ------
    MetadataError
        A side is no YAML, or none that DVC 3 reads.
    """
    sides = locks(three)
    decided = decisions(sides)
    kept = {name: one.text for name, one in decided.items() if one.fate is Fate.KEPT}
    dropped = {name: one for name, one in decided.items() if one.fate is Fate.DROPPED}
    pipeline = PipelineBeside.of(three.path, place)
    again = [name for name, one in dropped.items() if pipeline.declares(name)]
    candidates = {name: [lock.stages[name] for lock in sides.values() if name in lock.stages] for name in dropped}
    stale = affected(kept, {name: candidates[name] for name in again}, pipeline.wdirs)
    ordered = in_order({**{name: [text] for name, text in kept.items()}, **candidates}, pipeline.wdirs)
    notes = [f"stage {pipeline.address(name)}: {dropped[name].why}{pipeline.repro([name], again)}"
             for name in ordered if name in dropped]  # fmt: skip
    named = [name for name in ordered if name in stale or name in again]
    last = ends(named, {**{name: [kept[name]] for name in stale}, **candidates}, pipeline.wdirs)
    older = [name for name in named if name in stale]
    if older:
        said = ", ".join(f"{pipeline.address(name)} ({stale[name]})" for name in older)
        notes.append(f"out of date in the merged dvc.lock: {said}{pipeline.repro(last, last)}")
    notes += [f"{key} of {three.path}: changed on both sides, dropped" for key in _lost_sections(sides)]
    return Merged(_content(sides, kept, ordered), notes=tuple(notes), repro=tuple(last))


def locks(three: Three) -> dict[Side, LockFile]:
    """Return the three sides of a dvc.lock.

    Raises
    ------
    MetadataError
        A side is no YAML, or none that DVC 3 reads.
    """
    return {side: read(three.side(side), f"{three.path} ({side})") for side in Side}


def decisions(sides: Mapping[Side, LockFile]) -> dict[str, Decided]:
    """Return what becomes of each entry, in the order of the base, then of what came since.

    Raises
    ------
    MetadataError
        An entry is no YAML.
    """
    names = dict.fromkeys(name for side in Side for name in sides[side].stages)
    return {name: decision(name, sides) for name in names}


def decision(name: str, sides: Mapping[Side, LockFile]) -> Decided:
    """Return what becomes of the entry of one stage.

    Raises
    ------
    MetadataError
        The entry is no YAML.
    """
    texts = {side: sides[side].stages.get(name) for side in Side}
    base, ours, theirs = (texts[side] for side in (Side.BASE, Side.OURS, Side.THEIRS))
    if ours == theirs:
        return _taken(ours, texts)
    if base in (ours, theirs):
        return _taken(theirs if ours == base else ours, texts)
    if ours is None or theirs is None:
        return Decided(Fate.DROPPED, why="changed on one side, gone from dvc.lock on the other")
    said = {side: _NOTHING if text is None else entry(text, f"stage {name} of dvc.lock ({side})")
            for side, text in texts.items()}  # fmt: skip
    if said[Side.OURS] == said[Side.THEIRS]:
        # the same in another spelling
        return _taken(min(ours, theirs, key=_by_size), texts, {Side.OURS, Side.THEIRS})
    for mine, other in ((Side.OURS, Side.THEIRS), (Side.THEIRS, Side.OURS)):
        if base is not None and said[mine] == said[Side.BASE]:
            return _taken(texts[other], texts)
    inputs = _merged(*(said[side].inputs for side in Side))
    fitting = [side for side in (Side.OURS, Side.THEIRS) if inputs == said[side].inputs]
    if len(fitting) == 1:
        return _taken(texts[fitting[0]], texts)
    return Decided(Fate.DROPPED, why=_why(said) if not fitting else _not_reproduced(said))


def _taken(text: str | None, texts: Mapping[Side, str | None], sides: Iterable[Side] = ()) -> Decided:
    if text is None:
        return Decided(Fate.GONE)
    return Decided(Fate.KEPT, frozenset(sides) | {side for side, one in texts.items() if one == text}, text)


def _merged(base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str] | None:
    """Return the inputs merged atom by atom; None where both sides changed one to different values."""
    found = {}
    for key in {**base, **ours, **theirs}:
        was, here, there = base.get(key), ours.get(key), theirs.get(key)
        if here != there and was not in (here, there):
            return None
        value = there if here == was else here
        if value is not None:
            found[key] = value
    return found


def _why(said: Mapping[Side, Entry]) -> str:
    base, ours, theirs = (said[side].inputs for side in Side)
    here, there = _changed(base, ours), _changed(base, theirs)
    both = [key for key in here if key in there and ours.get(key) != theirs.get(key)]
    if not base:
        return f"computed on both sides for the first time, with different inputs ({_some(_changed(ours, theirs))})"
    here, there = ([key for key in keys if key not in both and ours.get(key) != theirs.get(key)]
                   for keys in (here, there))  # fmt: skip
    parts = [(here, "here"), (there, "there"), (both, "on both sides")]
    words = ", ".join(f"{_some(keys)} {where}" for keys, where in parts if keys)
    return f"computed on both sides with different inputs ({words})"


def _not_reproduced(said: Mapping[Side, Entry]) -> str:
    ours, theirs = said[Side.OURS].outs, said[Side.THEIRS].outs
    if set(ours) != set(theirs):
        return f"it wrote other files on the two sides ({_some(sorted(set(ours) ^ set(theirs)))})"
    differing = [path for path in sorted(ours) if ours[path] != theirs[path]]
    return f"the same inputs gave different results on the two sides ({_some(differing)}): not reproducible"


def _changed(base: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [key for key in {**base, **now} if base.get(key) != now.get(key)]


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _by_size(text: str) -> tuple[int, str]:
    return len(text), text


def _content(sides: Mapping[Side, LockFile], kept: Mapping[str, str], ordered: list[str]) -> bytes | None:
    """Return the merged file: stages that were in the base in its order, then the others, inputs first, as DVC adds."""
    before = [name for name in sides[Side.BASE].stages if name in kept]
    stages = {
        name: kept[name] for name in [*before, *(name for name in ordered if name in kept and name not in before)]
    }
    sections = {}
    for key in _section_keys(sides):
        said = _section(key, sides)
        if said is not None:
            sections[key] = said
    if not stages and set(sections) <= {"schema", "stages"}:
        return None  # as DVC does it when the last stage is removed
    return LockFile(sections, stages).text().encode()


def _section_keys(sides: Mapping[Side, LockFile]) -> list[str]:
    keys = dict.fromkeys(["schema", *sides[Side.BASE].sections, "stages"])
    new = {key for side in Side for key in sides[side].sections} - set(keys)
    return [*keys, *sorted(new)]


def _section(key: str, sides: Mapping[Side, LockFile]) -> str | None:
    base, ours, theirs = (sides[side].sections.get(key) for side in Side)
    if key in ("stages", "schema"):
        # read() takes one schema only; a side without the file has none
        return "" if key == "stages" else base or ours or theirs
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    from emdvc.history.merging.stages.lock_datasets import merged_section

    return merged_section(key, base, ours, theirs)


def _lost_sections(sides: Mapping[Side, LockFile]) -> list[str]:
    """Return what both sides changed differently beside the stages."""
    lost = []
    for key in _section_keys(sides):
        base, ours, theirs = (sides[side].sections.get(key) for side in Side)
        if key not in ("stages", "schema") and ours != theirs and base not in (ours, theirs):
            from emdvc.history.merging.stages.lock_datasets import lost_in_section

            lost += lost_in_section(key, base, ours, theirs)
    return lost
