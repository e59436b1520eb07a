"""Merges X.em.yaml of data that no stage wrote: quantities and axes as wholes, what the data say as one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from emdvc.errors import Code, MetadataError
from emdvc.history.merging.contract import ABSENT, Choices, Conflict, Merged, Place, Side, Three
from emdvc.history.merging.texts.mapping import Kind, merge_text, names_of
from emdvc.history.merging.texts.sidecar_sense import at, measures_same, nonsense
from emdvc.history.merging.texts.values import SIDES, Path, Question, canonical, equal
from emdvc.history.merging.texts.whole_file import whole_conflict
from emdvc.history.merging.texts.yaml_nodes import UnusualYamlError, plain_value
from emdvc.model.quantity import is_quantity
from emdvc.model.record import FIELDS
from emdvc.model.sidecar import SCHEMA_VERSION

#: What is computed from the data, and is never half from one side and half from the other.
DERIVED = ("data", "source", "statistics", "vendor")
#: The reasons why data were replaced: of both sides, so no part of that group.
_REASONS: Path = ("source", "replaced")
#: Mappings that mean something only as a whole; aberration coefficients are each a quantity of their own.
_WHOLE = frozenset(tuple(f.key.split(".")) for f in FIELDS if f.kind == "map" and f.key != "beam.aberrations")


class SidecarRules:
    """What holds for a sidecar."""

    def atom(self, path: Path, value: Any) -> bool:
        """Say whether a value moves as a whole: a quantity, an axis, a reference file, how a result came to be."""
        one_axis = len(path) == 2 and path[0] == "axes"
        return is_quantity(value) or one_axis or path in _WHOLE or path == ("provenance",)

    def same(self, path: Path, ours: Any, theirs: Any) -> bool:
        """Say whether two values measure the same."""
        return measures_same(ours, theirs)

    def names(self, path: Path, members: list[Any]) -> list[Hashable] | None:
        """Return the names of a list's members; the reasons for replacing data are each one."""
        if path == _REASONS:
            seen: Counter[str] = Counter()
            names: list[Hashable] = []
            for member in members:
                text = canonical(member)
                seen[text] += 1
                names.append((text, seen[text]))
            return names
        return names_of(members)


def merge_sidecar(three: Three, place: Place, choices: Choices) -> Merged:
    """Merge a sidecar by key.

    Raises
    ------
    MetadataError
        A side is no YAML, no sidecar, or of a newer schema.
    """
    if three.ours == three.theirs or three.theirs == three.base:
        return Merged(three.ours)
    if three.ours == three.base:
        return Merged(three.theirs)
    if three.ours is None or three.theirs is None:
        return whole_conflict(three, choices, "one side removed the sidecar, the other changed it")
    if any(content.startswith(b"neither-") for content in (three.ours, three.theirs)):
        # what came of two bases that git merged, one of which had no such file
        return whole_conflict(three, choices, "both sides changed the sidecar as a whole")
    sides = {side: _read(three, side) for side in SIDES}
    if _apart(sides):
        from emdvc.history.merging.datasets.derived import derived_parts

        parts = derived_parts(three, place, choices)
        if parts is not None:
            sides = {side: _with_parts(value, parts) for side, value in sides.items()}
    version = max(int(sides[side]["schema_version"]) for side in (Side.OURS, Side.THEIRS))
    for value in sides.values():
        value["schema_version"] = version
        value.setdefault("source", {})
    return _merged(three, sides, choices)


def _merged(three: Three, sides: dict[Side, dict[str, Any]], choices: Choices) -> Merged:
    """Merge what differs, put what does not beside it; where a conflict is open, the file shows all of it."""
    from emdvc.formats.sidecar import dump_yaml

    alike = {
        key: value
        for key, value in sides[Side.BASE].items()
        if all(key in side and equal(value, side[key]) for side in sides.values())
    }
    differing = {side: {k: v for k, v in value.items() if k not in alike} for side, value in sides.items()}
    pointer = three.path.name.removesuffix(".em.yaml") + ".dvc"
    kind = Kind(SidecarRules(), partial(_questions, pointer))
    merged = merge_text(_canonical(three, differing), choices, kind)
    if merged.conflicts:
        return merge_text(_canonical(three, sides), choices, kind)
    value = plain_value((merged.content or b"").decode("utf-8")) or {}
    whole = alike | {key: part for key, part in value.items() if part != {} or _empty_before(sides, key)}
    return replace(merged, content=dump_yaml(whole).encode("utf-8"))


def _empty_before(sides: Mapping[Side, dict[str, Any]], key: str) -> bool:
    return key != "source" and any(sides[side].get(key) == {} for side in (Side.OURS, Side.THEIRS))


def _canonical(three: Three, sides: Mapping[Side, dict[str, Any]]) -> Three:
    from emdvc.formats.sidecar import dump_yaml

    base, ours, theirs = (dump_yaml(sides[side]).encode("utf-8") for side in SIDES)
    return Three(three.path, base, ours, theirs)


def _read(three: Three, side: Side) -> dict[str, Any]:
    """Return the mapping that a side's sidecar is; empty where the base has none."""
    content = three.side(side)
    where = f"{three.path} ({side})"
    if content is None:
        return {}
    try:
        value = plain_value(content.decode("utf-8"))
    except (UnusualYamlError, UnicodeDecodeError) as error:
        raise MetadataError(f"{where} is not valid YAML", code=Code.SIDECAR_BROKEN, evidence=str(error)) from error
    if not isinstance(value, dict) or "schema_version" not in value:
        if side is Side.BASE:
            # of two bases that git merged into one, and that had nothing in common
            return {}
        raise MetadataError(
            f"{where} is not an emdvc sidecar", code=Code.SIDECAR_BROKEN, evidence="it has no schema_version"
        )
    if side is not Side.BASE and int(value["schema_version"]) > SCHEMA_VERSION:
        raise MetadataError(
            f"{where} was written by a newer emdvc",
            code=Code.SIDECAR_BROKEN,
            evidence=f"schema_version {value['schema_version']}, this emdvc knows {SCHEMA_VERSION}",
            hint="pip install --upgrade emdvc",
        )
    return value


# --- what the data say ------------------------------------------------------------------------------------------------


def _group(side: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the parts of a sidecar that are computed from the data, by where they stand."""
    parts: dict[Path, Any] = {(key,): side[key] for key in DERIVED if key in side and key != "source"}
    source = side.get("source")
    if isinstance(source, dict):
        parts |= {("source", key): value for key, value in source.items() if ("source", key) != _REASONS}
    return parts


def _apart(sides: Mapping[Side, dict[str, Any]]) -> bool:
    """Say whether both sides changed what is computed from the data, differently."""
    base, ours, theirs = (_group(sides[side]) for side in SIDES)
    return not (equal(ours, theirs) or equal(ours, base) or equal(theirs, base))


def _with_parts(side: dict[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    reasons = at(side, _REASONS)
    result = {key: value for key, value in side.items() if key not in DERIVED} | dict(parts)
    source = {key: value for key, value in (result.get("source") or {}).items() if key != _REASONS[1]}
    result["source"] = source if reasons is ABSENT else source | {_REASONS[1]: reasons}
    return result


def _questions(pointer: str, sides: Mapping[Side, Any]) -> list[Question]:
    found = nonsense(sides)
    if _apart(sides):
        base, ours, theirs = (_group(sides[side]) for side in SIDES)
        differing = frozenset(
            path
            for path in {**base, **ours, **theirs}
            if not equal(ours.get(path, ABSENT), theirs.get(path, ABSENT))
            or not equal(ours.get(path, ABSENT), base.get(path, ABSENT))
        )
        why = f"both sides changed the data: {pointer} says which there will be"
        was, mine, others = (_digests(sides[side]) for side in SIDES)
        found.append(Question(Conflict("data", was, mine, others, why), differing))
    return found


def _digests(side: Any) -> Any:
    """Return the content digest of each array, or ABSENT."""
    variables = at(side, ("data", "variables"))
    if not isinstance(variables, dict):
        return ABSENT
    return {name: at(info, ("digest",)) for name, info in variables.items() if at(info, ("digest",)) is not ABSENT}
