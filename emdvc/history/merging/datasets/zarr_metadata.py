"""The metadata files of a Zarr store, merged by key; the list of all nodes, where there is one, is made anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import FormatError
from emdvc.history.merging.contract import ABSENT, Choices, Edited, Side
from emdvc.history.merging.datasets.manifests import Entry
from emdvc.history.merging.datasets.undecided_files import Bytes, Settled, chosen_file, file_conflict
from emdvc.history.merging.datasets.zarr_nodes import NODES, folder_of
from emdvc.history.merging.texts.values import Taken, ValueMerge, conflicts_of, dotted, equal, value_of
from emdvc.model.quantity import is_quantity

#: The list of all nodes in a Zarr 3 store's own ``zarr.json``.
_LIST = "consolidated_metadata"
#: The same in Zarr 2, a file of its own.
LISTED = ".zmetadata"


class _ZarrRules:
    """What is known of Zarr's metadata: attributes are a person's, by key; all else is one value for each key."""

    def __init__(self, attributes_below: bool) -> None:
        self._below = attributes_below

    def atom(self, path: tuple[Hashable, ...], value: Any) -> bool:
        return is_quantity(value) or (self._below and bool(path) and path[0] != "attributes")

    def same(self, path: tuple[Hashable, ...], ours: Any, theirs: Any) -> bool:
        return False

    def names(self, path: tuple[Hashable, ...], members: list[Any]) -> list[Hashable] | None:
        return None


class _Keyed(Choices):
    """The choices of a dataset for the keys of one of its files."""

    def __init__(self, choices: Choices, name: str, now: Callable[[], Any]) -> None:
        super().__init__(rest=choices.rest)
        self._all, self._name, self._now = choices, name, now

    def of(self, key: str) -> Any:
        found = self._all.of(f"{self._name}:{key}")
        if isinstance(found, Edited) and found.value is None:
            return Edited(_at(self._now(), key))
        return found


def merge_metadata(
    name: str, entry: Entry, files: Bytes, choices: Choices, core: Side | None = None, present: Side | None = None
) -> Settled:
    """Return what comes of one metadata file that both sides changed.

    Parameters
    ----------
    name
        Of the file in the store.
    entry
        Its three md5s.
    files
        Where bytes come from and go to.
    choices
        What was chosen; keys are ``labels/zarr.json:attributes.unit``.
    core
        The side whose shape, type and codecs were chosen for the array, where both changed them.
    present
        The side that decides whether the file is there at all, where that was chosen.
    """
    md5s = {Side.BASE: entry.base, Side.OURS: entry.ours, Side.THEIRS: entry.theirs}
    if entry.ours is None or entry.theirs is None:
        if present is not None:
            return Settled({name: md5s[present]})
        choice = choices.of(name)
        if choice is None:
            return Settled({}, [file_conflict(name, entry, f"the metadata {name}")])
        return Settled({name: chosen_file(name, entry, choice, files)})
    texts = {side: files.read(md5) for side, md5 in md5s.items() if md5 is not None}
    sides = {side: _parsed(name, texts[side]) if side in texts else ABSENT for side in Side}
    bare = {side: _without_list(value) for side, value in sides.items()}
    if core is not None:
        bare = {side: _with_core(value, bare[core]) for side, value in bare.items()}
    merge = ValueMerge(
        _ZarrRules(PurePosixPath(name).name != ".zattrs"),
        _Keyed(choices, name, lambda: _parsed(name, files.now(name) or b"{}")),
    )
    outcome = merge.merge((), bare)
    found = conflicts_of(outcome)
    if found:
        return Settled({}, [replace(one, key=f"{name}:{one.key}", why=f"{one.why} in {name}") for one in found])
    merged = outcome.value if isinstance(outcome, Taken) else value_of(outcome)
    merged = _with_list(merged, sides)
    for side in sorted((Side.OURS, Side.THEIRS, Side.BASE), key=lambda side: md5s[side] or ""):
        if sides[side] is not ABSENT and equal(sides[side], merged):
            return Settled({name: md5s[side]})
    return Settled({name: files.keep(_dumped(merged, texts.values()))})


def listed_anew(files: Mapping[str, str], bytes_: Bytes) -> dict[str, str]:
    """Return the files of a store that list all its nodes, made from the nodes as they are now; none where it has none.

    Parameters
    ----------
    files
        Name -> md5 of the store.
    bytes_
        Where bytes come from and go to.
    """
    found: dict[str, str] = {}
    if LISTED in files:
        before = bytes_.read(files[LISTED])
        said = _parsed(LISTED, before)
        nodes = {
            name: _node(name, bytes_.read(files[name]), (said.get("metadata") or {}).get(name))
            for name in sorted(files)
            if PurePosixPath(name).name in (".zarray", ".zgroup", ".zattrs")
        }
        anew = said | {"metadata": nodes}
        if not equal(anew, said):
            found[LISTED] = bytes_.keep(_dumped(anew, [before]))
    elif "zarr.json" in files:
        before = bytes_.read(files["zarr.json"])
        said = _parsed("zarr.json", before)
        if isinstance(said.get(_LIST), dict):
            held = said[_LIST].get("metadata") or {}
            below = sorted(name for name in files if name.endswith("/zarr.json"))
            nodes = {
                folder_of(name): _node(name, bytes_.read(files[name]), held.get(folder_of(name))) for name in below
            }
            anew = said | {_LIST: said[_LIST] | {"metadata": nodes}}
            if not equal(anew, said):
                found["zarr.json"] = bytes_.keep(_dumped(anew, [before]))
    return found


def _node(name: str, content: bytes, held: Any) -> Any:
    """Return a node as the list has it: zarr notes of a group there that it has no list of its own."""
    value = _parsed(name, content)
    group = PurePosixPath(name).name in NODES and "shape" not in value
    if group and isinstance(value, dict):
        if isinstance(held, dict) and _LIST in held:
            value.setdefault(_LIST, held[_LIST])
        elif held is None and value.get("zarr_format") == 3:
            value.setdefault(_LIST, {"kind": "inline", "must_understand": False, "metadata": {}})
    return value


def _without_list(value: Any) -> Any:
    return {key: one for key, one in value.items() if key != _LIST} if isinstance(value, dict) else value


def _with_core(value: Any, core: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(core, dict):
        return value
    kept = ("attributes",)
    return {key: one for key, one in core.items() if key not in kept} | {
        key: value[key] for key in kept if key in value
    }


def _with_list(merged: Any, sides: Mapping[Side, Any]) -> Any:
    """Return merged metadata with a list of nodes where one is wanted; its content is made anew later."""
    held = {side: value.get(_LIST) if isinstance(value, dict) else None for side, value in sides.items()}
    ours, theirs = held[Side.OURS], held[Side.THEIRS]
    removed = held[Side.BASE] is not None and (ours is None or theirs is None)
    kept = None if removed else ours if ours is not None else theirs
    if kept is None or not isinstance(merged, dict):
        return merged
    if isinstance(ours, dict) and isinstance(theirs, dict):
        kept = min((ours, theirs), key=lambda one: json.dumps(one, sort_keys=True))
    order = next(value for value in sides.values() if isinstance(value, dict) and _LIST in value)
    full = merged | {_LIST: kept}
    return {key: full[key] for key in [*(key for key in order if key in full), *(k for k in full if k not in order)]}


def _parsed(name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise FormatError(
            f"the metadata {name} cannot be merged: they are damaged", evidence=str(error), hint="emdvc verify --bytes"
        ) from error


def _dumped(value: Any, like: Any) -> bytes:
    """Return JSON as zarr writes it: over several lines where the other versions are."""
    lines = any(b"\n" in text for text in like)
    return json.dumps(value, indent=2 if lines else None).encode()


def _at(value: Any, key: str) -> Any:
    """Return what stands at a dotted key of a file; ABSENT where nothing."""
    for path, one in _leaves((), value):
        if dotted(path) == key:
            return one
    return ABSENT


def _leaves(path: tuple[Hashable, ...], value: Any) -> Any:
    yield path, value
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves((*path, name), one)
