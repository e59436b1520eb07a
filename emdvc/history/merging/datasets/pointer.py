"""The merge of a ``.dvc`` file: first its data (raw data never merges), then its text.

What comes of the data is put into the texts of all three sides; then only what a person wrote there (description,
labels, remote) differs, and merges by key as any other YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.history.edited import Edited as Declared
from emdvc.history.merging.contract import (
    ABSENT,
    Choice,
    Choices,
    Conflict,
    Edited,
    Merged,
    Neither,
    Place,
    Side,
    Three,
    markers,
)
from emdvc.history.merging.datasets import manifests, recorded_bytes
from emdvc.history.merging.datasets.manifests import Entry
from emdvc.history.merging.datasets.recorded_bytes import RecordedBytes
from emdvc.history.snapshot import sidecar_path

#: The key of a conflict about the bytes as a whole.
BYTES = "md5"


@dataclass(frozen=True, slots=True)
class MergedBytes:
    """What came of the data of a ``.dvc`` file.

    Parameters
    ----------
    said
        What is to be recorded; None where something is open.
    conflicts
        What is open.
    files
        Name -> md5 of a directory whose list was merged; None where one side's was taken.
    """

    said: RecordedBytes | None
    conflicts: tuple[Conflict, ...] = ()
    files: Mapping[str, str] | None = None


def merge_pointer(three: Three, place: Place, choices: Choices) -> Merged:
    """Return what comes of a ``.dvc`` file that both sides changed.

    Raises
    ------
    DataMissingError, EnvironmentFault
        A list of files, or a chunk that both changed, is neither here nor on the remote; the remote did not answer.
    FormatError
        A chunk that both changed is damaged.
    """
    if three.ours is None or three.theirs is None:
        return _removed(three, choices)
    sides = _sides(three)
    if sides is None:
        return _by_key(three, place, choices)
    found = merge_bytes(three, place, choices)
    if found.said is not None:
        return _by_key(_with(three, found.said), place, choices)
    return _open(three, sides, place, choices, found.conflicts)


def merge_bytes(three: Three, place: Place, choices: Choices) -> MergedBytes:
    """Return what comes of the data alone: objects of the merged state are in the cache, the text is not looked at.

    Parameters
    ----------
    three
        The ``.dvc`` file; each side has it, with one entry.
    place
        Where the merge happens.
    choices
        What was chosen.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        As :func:`merge_pointer`.
    """
    sides = _sides(three)
    assert sides is not None
    base, ours, theirs = (sides.get(side) for side in (Side.BASE, Side.OURS, Side.THEIRS))
    assert ours is not None
    assert theirs is not None
    simple = _taken(base, ours, theirs)
    if simple is not None:
        return MergedBytes(simple)
    if ours.declared is not None and theirs.declared is not None and ours.is_directory and theirs.is_directory:
        return _directory(three, base, ours, theirs, place, choices)
    choice = choices.of(BYTES)
    if choice is not None:
        return MergedBytes(_chosen(choice, sides, three, place))
    base_words = base.in_words() if base is not None else ABSENT
    why = _why(three, place, ours, theirs)
    return MergedBytes(None, (Conflict(BYTES, base_words, ours.in_words(), theirs.in_words(), why),))


def _sides(three: Three) -> dict[Side, RecordedBytes] | None:
    """Return what each side records; None where one is no plain ``.dvc`` file, or speaks of another path."""
    found = {}
    for side in Side:
        if three.side(side) is None:
            continue
        said = recorded_bytes.read(three.side(side))
        if said is None:
            return None
        found[side] = said
    return found if len({said.path for said in found.values()}) == 1 else None


def _taken(base: RecordedBytes | None, ours: RecordedBytes, theirs: RecordedBytes) -> RecordedBytes | None:
    """Return what is recorded where the bytes are those of one side; None where both changed them."""
    if base is not None and theirs.identity == base.identity != ours.identity:
        return ours
    if base is not None and ours.identity == base.identity != theirs.identity:
        return theirs
    if ours.identity != theirs.identity:
        return None
    # the same bytes: who noted more about them since, else either
    news = [side for side in (ours, theirs) if base is None or side.all_said != base.all_said]
    return max(news or [ours], key=lambda side: (len(side.all_said), side.all_said))


def _directory(
    three: Three,
    base: RecordedBytes | None,
    ours: RecordedBytes,
    theirs: RecordedBytes,
    place: Place,
    choices: Choices,
) -> MergedBytes:
    from emdvc.history.merging.datasets.dataset import merge_dataset
    from emdvc.history.merging.datasets.reach import Reach

    data = three.path.parent / ours.path
    here = place.project.git_root / data
    reach = Reach(place.project, str(data), here, ours.remote or theirs.remote)
    lists: dict[Side, Mapping[str, str]] = {Side.BASE: {}}
    for side, said in ((Side.BASE, base), (Side.OURS, ours), (Side.THEIRS, theirs)):
        if said is not None and said.is_directory:
            lists[side] = reach.files(said.md5, side.value)
    assert ours.declared is not None
    assert theirs.declared is not None
    declared = ours.declared.united(theirs.declared.by_element)
    found = merge_dataset(lists, declared, PurePosixPath(data.name).stem, reach, choices)
    if found.conflicts:
        return MergedBytes(None, found.conflicts)
    md5 = manifests.keep_list(reach.cache, found.files)
    for said, side in ((ours, Side.OURS), (theirs, Side.THEIRS)):
        if md5 == said.md5:
            return MergedBytes(said, files=lists[side])
    size = _size(found.files, lists, {Side.BASE: base, Side.OURS: ours, Side.THEIRS: theirs}, reach)
    first = min(ours, theirs, key=lambda said: said.all_said)
    return MergedBytes(first.of(md5, size, len(found.files)), files=found.files)


def _size(
    files: Mapping[str, str],
    lists: Mapping[Side, Mapping[str, str]],
    sides: Mapping[Side, RecordedBytes | None],
    reach: Any,
) -> int | None:
    """Return the bytes of a merged directory: of what one side alone changed, the recorded sizes tell them."""
    recorded = {side: said.size if said is not None else 0 for side, said in sides.items()}
    if any(size is None for size in recorded.values()):
        found = reach.sizes({md5: name for name, md5 in files.items()})
        return sum(found[md5] for md5 in files.values()) if found is not None else None
    total = sum(sign * (recorded[side] or 0) for side, sign in _SIGNS)
    counted: list[tuple[str, int]] = []
    for name in set().union(files, *lists.values()):
        made = files.get(name)
        base, ours, theirs = (lists[side].get(name) for side in (Side.BASE, Side.OURS, Side.THEIRS))
        if (ours == base and theirs == made) or (theirs == base and ours == made):
            continue
        counted += [(md5, sign) for md5, sign in ((made, 1), (ours, -1), (theirs, -1), (base, 1)) if md5 is not None]
    known = reach.sizes({md5: "" for md5, _ in counted})
    return None if known is None else total + sum(sign * known[md5] for md5, sign in counted)


#: How the sizes of the sides make that of the merged state, where no file was changed by both.
_SIGNS = ((Side.OURS, 1), (Side.THEIRS, 1), (Side.BASE, -1))


def _chosen(choice: Choice, sides: Mapping[Side, RecordedBytes], three: Three, place: Place) -> RecordedBytes:
    ours = sides[Side.OURS]
    if isinstance(choice, Side) and choice in sides:
        return sides[choice]
    if isinstance(choice, Edited):
        return _now(three, place, ours)
    # of data that had no earlier state, BASE can mean nothing else than neither
    entry = Entry(None, sides[Side.OURS].identity, sides[Side.THEIRS].identity)
    first = min((sides[side] for side in (Side.OURS, Side.THEIRS)), key=lambda said: said.all_said)
    assert isinstance(choice, Neither | Side)
    return first.of(manifests.neither(entry), None, None)


def _now(three: Three, place: Place, ours: RecordedBytes) -> RecordedBytes:
    """Return the dataset as it lies in the workspace now; its bytes are kept in the cache."""
    from emdvc.errors import DataMissingError
    from emdvc.history.merging.datasets.reach import Reach

    data = three.path.parent / ours.path
    here = place.project.git_root / data
    reach = Reach(place.project, str(data), here, ours.remote)
    if here.is_dir():
        files = reach.all_now("")
        sizes = reach.sizes({md5: name for name, md5 in files.items()}) or {}
        return ours.of(manifests.keep_list(reach.cache, files), sum(sizes[md5] for md5 in files.values()), len(files))
    content = reach.now("")
    if content is None:
        raise DataMissingError(f"{data} is not here", hint=f"choose ours or theirs, or: dvc checkout {three.path}")
    return ours.of(reach.keep(content), len(content), None)


def _why(three: Three, place: Place, ours: RecordedBytes, theirs: RecordedBytes) -> str:
    data = three.path.parent / ours.path
    if ours.declared is not None and theirs.declared is not None:
        return f"both changed {data}, which is a single file: it is taken as a whole"
    if ours.top.get("deps") or theirs.top.get("deps"):
        return f"{data} was brought from its source anew on both sides, in different states"
    reasons = [_reason(three, place, side) for side in (Side.OURS, Side.THEIRS)]
    said = "; ".join(
        f'{side} replaced it: "{reason}"' for side, reason in zip(("ours", "theirs"), reasons, strict=True) if reason
    )
    if (ours.declared is None) != (theirs.declared is None):
        side = "ours" if ours.declared is not None else "theirs"
        said = "; ".join(part for part in (f"only {side} declares it as edited data", said) if part)
    return f"raw data never merges: both sides record other bytes as {data}" + (f" ({said})" if said else "")


def _reason(three: Three, place: Place, side: Side) -> str | None:
    """Return why a side replaced the data, as its sidecar says; None where it says nothing."""
    from emdvc.history.raw.pointers import mapping

    name = PurePosixPath(str(three.path).removesuffix(".dvc"))
    content = place.blob(side, sidecar_path(name))
    source = mapping(content.decode("utf-8", "replace") if content is not None else None).get("source")
    replaced = source.get("replaced") if isinstance(source, dict) else None
    last = replaced[-1] if isinstance(replaced, list) and replaced else None
    return str(last.get("reason") or "") or None if isinstance(last, dict) else None


# --- the text ---


def _by_key(three: Three, place: Place, choices: Choices) -> Merged:
    from emdvc.history.merging.texts.mapping import merge_yaml

    if three.ours == three.theirs:
        return Merged(three.ours)
    return merge_yaml(three, place, choices)


def _with(three: Three, said: RecordedBytes) -> Three:
    """Return the three texts with the same bytes recorded in each, and the declarations of both sides united."""
    declared = _declared(three)
    texts: dict[Side, bytes | None] = {}
    for side in Side:
        content = three.side(side)
        if content is not None:
            content = recorded_bytes.with_bytes(content, said)
            content = recorded_bytes.with_declared(content, declared) if declared is not None else content
        texts[side] = content
    return replace(three, base=texts[Side.BASE], ours=texts[Side.OURS], theirs=texts[Side.THEIRS])


def _declared(three: Three) -> Declared | None:
    """Return the arrays that merge by element on both sides, less those that one took back; None where one has none."""
    base, ours, theirs = (recorded_bytes.declared(three.side(side)) for side in (Side.BASE, Side.OURS, Side.THEIRS))
    if ours is None or theirs is None:
        return None
    before, here, there = (set(one.by_element) if one is not None else set() for one in (base, ours, theirs))
    return Declared(tuple(sorted((here & there) | (here - before) | (there - before))))


def _open(
    three: Three,
    sides: Mapping[Side, RecordedBytes],
    place: Place,
    choices: Choices,
    conflicts: tuple[Conflict, ...],
) -> Merged:
    """Return the text with markers around what differs of the bytes, everything else merged."""
    texts, others = {}, None
    for side in Side:
        merged = _by_key(_with(three, sides.get(side, sides[Side.OURS])), place, choices)
        texts[side] = (merged.content or b"").decode("utf-8") if side in sides else ""
        others = merged if side is Side.OURS else others
    assert others is not None
    content = _marked(texts[Side.OURS], texts[Side.BASE] or None, texts[Side.THEIRS])
    return Merged(content.encode(), (*conflicts, *others.conflicts), others.notes, others.repro)


def _marked(ours: str, base: str | None, theirs: str) -> str:
    """Return texts as one, with git's markers around the lines that are not the same in all of them."""
    sides = [text.splitlines(keepends=True) for text in (ours, theirs, *([base] if base is not None else []))]
    least = min(map(len, sides))
    start = next((n for n in range(least) if len({lines[n] for lines in sides}) > 1), least)
    end = next((n for n in range(least - start) if len({lines[-1 - n] for lines in sides}) > 1), least - start)
    middle = ["".join(lines[start : len(lines) - end]) for lines in sides]
    opened, between, closed, last = markers()
    parts = [opened, middle[0].rstrip("\n"), between, middle[2].rstrip("\n") if base is not None else ""]
    parts += [closed, middle[1].rstrip("\n"), last]
    head, tail = "".join(sides[0][:start]), "".join(sides[0][len(sides[0]) - end :]) if end else ""
    return head + "".join(f"{part}\n" for part in parts if part) + tail


def _removed(three: Three, choices: Choices) -> Merged:
    """Return what comes of a ``.dvc`` file that one side removed."""
    if three.base == three.ours or three.base == three.theirs:
        return Merged(three.theirs if three.base == three.ours else three.ours)
    choice = choices.of("")
    if isinstance(choice, Side):
        return Merged(three.side(choice))
    if choice is not None:
        # of removed and changed, neither is as it was before
        return Merged(three.base)
    words = {side: _words(three.side(side)) for side in Side}
    gone, kept = ("ours", "theirs") if three.ours is None else ("theirs", "ours")
    data = str(three.path).removesuffix(".dvc")
    conflict = Conflict(
        "", words[Side.BASE], words[Side.OURS], words[Side.THEIRS], f"{gone} removed {data}, {kept} changed it"
    )
    texts = [(content or b"").decode("utf-8", "replace") for content in (three.ours, three.base, three.theirs)]
    opened, between, closed, last = markers()
    parts = [opened, texts[0], between, texts[1], closed, texts[2], last]
    return Merged("".join(f"{part.rstrip()}\n" for part in parts if part).encode(), (conflict,))


def _words(content: bytes | None) -> Any:
    said = recorded_bytes.read(content)
    return ABSENT if content is None else said.in_words() if said is not None else f"{len(content)} bytes"
