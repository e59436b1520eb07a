"""The parts of a dvc.lock beside its stages: ``datasets:``, a list by name, of which each is one atom."""

from __future__ import annotations

from typing import Any

from emdvc.history.merging.stages.lock_entries import dumped, same


def merged_section(key: str, base: str | None, ours: str | None, theirs: str | None) -> str | None:
    """Return a section of the top level that both sides changed; None where nothing of it stays.

    What both changed differently is dropped, as the entry of a stage is: `dvc ds update` writes it again.
    """
    sides = [_by_name(key, text) for text in (base, ours, theirs)]
    kept = []
    for name in _names(sides):
        was, here, there = (side.get(name) for side in sides)
        if same(here) == same(there) or same(there) == same(was):
            kept.append(here)
        elif same(here) == same(was):
            kept.append(there)
    kept = [one for one in kept if one is not None]
    return dumped(key, kept) if kept else None


def lost_in_section(key: str, base: str | None, ours: str | None, theirs: str | None) -> list[str]:
    """Return the names of what both sides changed differently."""
    sides = [_by_name(key, text) for text in (base, ours, theirs)]
    return [
        name for name in _names(sides)
        if len({same(side.get(name)) for side in sides}) == len(sides)
    ]  # fmt: skip


def _names(sides: list[dict[str, Any]]) -> list[str]:
    return [*sides[0], *sorted({*sides[1], *sides[2]} - {*sides[0]})]


def _by_name(key: str, text: str | None) -> dict[str, Any]:
    from ruamel.yaml import YAML

    content = YAML().load(text)[key] if text else []
    listed = content if isinstance(content, list) else []
    return {str(one["name"]): one for one in listed if isinstance(one, dict) and "name" in one}
