"""The rule: between two states of the repository no raw digest changes or goes, unless it is written down why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emdvc.history.raw.pointers import Raw, Tree, added_in, mapping, raw_in
from emdvc.history.raw.removals import excused
from emdvc.history.snapshot import sidecar_path


@dataclass(frozen=True, slots=True)
class Loss:
    """Raw data that one state records and the next one does not, with no reason given.

    Parameters
    ----------
    raw
        As the earlier state records it.
    how
        ``changed``: other bytes took its place; ``emptied``: its pointer names none any more; ``dropped``: no pointer
        speaks of it; ``made editable``: it is declared as edited data.
    now
        What the later state records at its place; None where nothing.
    """

    raw: Raw
    how: str
    now: Raw | None


def losses(old: Tree, new: Tree, pointers: Iterable[str]) -> list[Loss]:
    """Return the raw data that was lost from one state of the repository to the next.

    Parameters
    ----------
    old, new
        The states.
    pointers
        The ``.dvc`` files that are not the same in both.
    """
    pointers = list(dict.fromkeys(pointers))
    after = {raw.path: raw for pointer in pointers for raw in added_in(new, pointer)}
    found = []
    for pointer in pointers:
        for raw in raw_in(old, pointer):
            now = after.get(raw.path)
            by_hand = now is not None and now.edited
            if not raw.md5 or (now is not None and now.md5 == raw.md5 and not by_hand):
                continue
            if (now is None and _elsewhere(new, raw, after)) or excused(new, raw):
                continue
            if now is not None and now.md5 and _replaced_with_reason(old, new, raw, now):
                continue
            how = "dropped" if now is None else "made editable" if by_hand else "changed" if now.md5 else "emptied"
            found.append(Loss(raw, how, now))
    return found


def _elsewhere(new: Tree, raw: Raw, known: Mapping[Any, Raw]) -> bool:
    """Say whether the same bytes are recorded under another name: then the data was only moved."""
    if any(one.md5 == raw.md5 and not one.edited for one in known.values()):
        return True
    return any(one.md5 == raw.md5 for pointer in new.pointers() for one in raw_in(new, pointer))


def _replaced_with_reason(old: Tree, new: Tree, raw: Raw, now: Raw) -> bool:
    """Say whether the sidecar tells why these bytes took the place of those, and does speak of the new ones."""
    sidecar = sidecar_path(raw.path)
    before, after = _source(old, sidecar), _source(new, sidecar)
    # data that becomes edited data may keep its bytes
    if (before.get("files") == after.get("files") and not now.edited) or not _fits(after, now):
        return False
    earlier = _entries(before)
    digest = _digest(before)
    return any(
        str(entry.get("reason") or "").strip() and entry.get("previous_digest") == digest
        for entry in _entries(after)
        if entry not in earlier
    )


def _source(tree: Tree, sidecar: Any) -> Mapping[str, Any]:
    source = mapping(tree.text(sidecar)).get("source")
    return source if isinstance(source, dict) else {}


def _entries(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = source.get("replaced")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _files(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = source.get("files")
    return [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []


def _digest(source: Mapping[str, Any]) -> Any:
    return next((entry.get("sha256") for entry in _files(source)), None)


def _fits(source: Mapping[str, Any], raw: Raw) -> bool:
    """Say whether a sidecar can speak of some bytes: both have noted how many there are."""
    sizes = [entry.get("size") for entry in _files(source)]
    if raw.size is None or not sizes or not all(isinstance(size, int) for size in sizes):
        return bool(sizes)
    return sum(size for size in sizes if isinstance(size, int)) == raw.size


def shrunk(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    """Return the files of a directory that are gone where all that is left is as it was: a checkout in part, added.

    Parameters
    ----------
    old, new
        Name -> md5 of the directory's files; None where the list is not to be had.
    """
    if old is None or new is None or not set(new.items()) <= set(old.items()):
        return []
    return sorted(set(old) - set(new))
