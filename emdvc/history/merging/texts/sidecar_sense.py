"""What of a sidecar makes sense only together: edits that are each right, and of which the sum says nothing true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emdvc.errors import MetadataError
from emdvc.history.merging.contract import ABSENT, Conflict, Side
from emdvc.history.merging.texts.values import Path, Question, dotted, equal
from emdvc.model.quantity import Quantity, is_quantity

#: Keys of which one side must not change the one while the other side changes the other, and why.
TOGETHER: tuple[tuple[str, str, str], ...] = (
    ("scan.shape", "scan.step", "the scanned field is their product"),
    ("scan.shape", "scan.offset", "a part of a scan is said by both"),
    ("detector.shape", "diffraction.center", "the centre is counted in the detector's pixels"),
    ("detector.shape", "diffraction.pixel_size", "binning changes both"),
    ("detector.shape", "detector.pixel_pitch", "binning changes both"),
    ("detector.flip_y", "diffraction.center", "turning the frames over moves the centre"),
    ("detector.flip_y", "diffraction.flip", "the handedness of the pattern is said by both"),
    ("detector.flip_y", "diffraction.rotation", "turning the frames over turns the angle round"),
    ("diffraction.flip", "diffraction.rotation", "a mirrored pattern turns the other way"),
    ("detector.bit_depth", "detector.saturation", "the largest count follows from the depth"),
)

#: Keys that say how the data are read: where a side changed the data too, they come with the data and are not asked.
OF_THE_DATA = frozenset({"scan.shape", "detector.shape", "detector.flip_y", "detector.bit_depth"})

#: Keys that can be computed from others: a value of origin `derived` must not meet another side's change of those.
DERIVED_FROM: dict[str, tuple[str, ...]] = {
    "diffraction.pixel_size": ("beam.energy", "optics.camera_length", "detector.pixel_pitch"),
    "dose": ("beam.current", "scan.dwell", "scan.step"),
}

#: Keys that are counted in samples of an axis: data of another size must not meet another side's change of those.
COUNTED_ALONG: dict[str, tuple[str, ...]] = {
    "ky": ("diffraction.center", "diffraction.pixel_size", "detector.pixel_pitch"),
    "kx": ("diffraction.center", "diffraction.pixel_size", "detector.pixel_pitch"),
    "y": ("scan.step", "scan.offset"),
    "x": ("scan.step", "scan.offset"),
}


def nonsense(sides: Mapping[Side, Any]) -> list[Question]:
    """Return a conflict for each set of keys that the two sides changed apart and that belong together."""
    found: list[tuple[set[Path], str]] = []
    for one, other, why in TOGETHER:
        _note(found, sides, _path(one), _path(other), why)
    for key, sources in DERIVED_FROM.items():
        for source in sources:
            _note_derived(found, sides, _path(key), _path(source))
    for dim in sorted({dim for side in sides.values() for dim in _axes(side)}):
        _note_axis(found, sides, dim)
    return [_question(sides, paths, whys) for paths, whys in _united(found)]


def at(value: Any, path: Path) -> Any:
    """Return what stands at a place, ABSENT where there is nothing."""
    for name in path:
        value = value.get(name, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def measures_same(one: Any, other: Any) -> bool:
    """Say whether two values say the same: quantities that measure the same, in mappings of the same keys."""
    if is_quantity(one) and is_quantity(other):
        try:
            return Quantity.from_dict(one).same(Quantity.from_dict(other))
        except MetadataError:
            return equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(measures_same(value, other[key]) for key, value in one.items())
    return equal(one, other)


def _path(key: str) -> Path:
    return tuple(key.split("."))


def _axes(side: Any) -> dict[str, Any]:
    axes = at(side, ("axes",))
    return axes if isinstance(axes, dict) else {}


def _apart(sides: Mapping[Side, Any], one: Path, other: Path) -> Side | None:
    """Return the side that alone changed the first, where the other side alone changed the second."""
    for mine, yours in ((Side.OURS, Side.THEIRS), (Side.THEIRS, Side.OURS)):
        if _changed(sides, mine, yours, one) and _changed(sides, yours, mine, other):
            return mine
    return None


def _changed(sides: Mapping[Side, Any], side: Side, than: Side, path: Path) -> bool:
    value = at(sides[side], path)
    return not measures_same(value, at(sides[Side.BASE], path)) and not measures_same(value, at(sides[than], path))


def _note(found: list[tuple[set[Path], str]], sides: Mapping[Side, Any], one: Path, other: Path, why: str) -> None:
    side = _apart(sides, one, other)
    if side is None:
        return
    data: Path = ("data",)
    with_data = dotted(one) in OF_THE_DATA and not equal(at(sides[side], data), at(sides[Side.BASE], data))
    found.append(({other} if with_data else {one, other}, why))


def _note_derived(found: list[tuple[set[Path], str]], sides: Mapping[Side, Any], key: Path, source: Path) -> None:
    side = _apart(sides, key, source)
    if side is not None and at(sides[side], (*key, "origin")) == "derived":
        found.append(({key, source}, f"{dotted(key)} was computed from {dotted(source)}"))


def _note_axis(found: list[tuple[set[Path], str]], sides: Mapping[Side, Any], dim: str) -> None:
    axis = ("axes", dim)
    for key in sorted({key for side in sides.values() if isinstance(key := at(side, (*axis, "calibration")), str)}):
        # an axis that got a scale of its own no longer follows the key
        if _apart(sides, (*axis, "calibration"), _path(key)) is not None:
            found.append(({axis, _path(key)}, f"the axis {dim} is calibrated by {key}"))
    for key in COUNTED_ALONG.get(dim, ()):
        if _apart(sides, (*axis, "size"), _path(key)) is not None:
            found.append(({_path(key)}, f"it is counted in samples of {dim}, and the data have another size now"))


def _united(found: list[tuple[set[Path], str]]) -> list[tuple[frozenset[Path], list[str]]]:
    """Return sets of places without one in common, each with its reasons."""
    groups: list[tuple[set[Path], list[str]]] = []
    for paths, why in found:
        touching = [group for group in groups if group[0] & paths]
        for group in touching:
            groups.remove(group)
        places = paths.union(*(group[0] for group in touching))
        groups.append((places, [*(text for group in touching for text in group[1]), why]))
    return [(frozenset(paths), list(dict.fromkeys(whys))) for paths, whys in groups]


def _question(sides: Mapping[Side, Any], paths: frozenset[Path], whys: list[str]) -> Question:
    places = sorted(paths)
    base, ours, theirs = (_told(sides[side], places) for side in Side)
    key = "+".join(dotted(path) for path in places)
    return Question(
        Conflict(key, base, ours, theirs, f"the sides changed what belongs together: {'; '.join(whys)}"), paths
    )


def _told(side: Any, places: list[Path]) -> Any:
    values = {dotted(path): at(side, path) for path in places}
    if len(values) == 1:
        return values.popitem()[1]
    return {key: value for key, value in values.items() if value is not ABSENT}
