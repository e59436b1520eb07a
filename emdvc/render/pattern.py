"""One pattern for people: its numbers as text and as plain values, its picture with scale bar and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emdvc.compare.pattern import Pattern, Place
from emdvc.model.axis import Role
from emdvc.render import rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emdvc.model.axis import Axis


def as_text(pattern: Pattern, name: str) -> str:
    """Return the numbers of a pattern, one to a line.

    Parameters
    ----------
    pattern
        The pattern.
    name
        What the dataset is called, with its revision.
    """
    found = pattern.statistics()
    size = " × ".join(str(axis.size) for axis in pattern.axes)
    rows = [("size", f"{size} ({', '.join(axis.dim for axis in pattern.axes)}), {pattern.values.dtype.name}")]
    if found.maximum is None or found.minimum is None or found.mean is None:
        rows.append(("values", "none is a number"))
    else:
        rows.append(("sum", _figure(found.total, pattern.unit)))
        rows.append(("mean", _figure(found.mean, pattern.unit)))
        rows.append(("minimum", _figure(found.minimum, pattern.unit)))
        rows.append(("maximum", f"{_figure(found.maximum, pattern.unit)} at {_places(found.highest or ())}"))
        if found.center is not None:
            rows.append(("center", f"{_places(found.center)} (center of mass)"))
        if found.not_finite:
            rows.append(("not finite", str(found.not_finite)))
    width = max(len(label) for label, _ in rows)
    return "\n".join([heading(pattern, name), *(f"  {label:<{width}}  {value}" for label, value in rows)])


def heading(pattern: Pattern, name: str) -> str:
    """Return the line that says which pattern of which dataset it is."""
    if not pattern.position:
        return f"{name}, {pattern.variable}"
    return f"{name}, {pattern.variable} at {_places(pattern.position)}"


def _figure(value: float, unit: str) -> str:
    """Return a value with its unit; a whole number in full, as counts are compared digit by digit."""
    text = rounding.grouped(value) if isinstance(value, int) else rounding.number(value)
    return f"{text} {rounding.unit_text(unit)}".rstrip()


def _places(places: tuple[Place, ...]) -> str:
    """Return where something is, in samples, and in units where known: ``ky = 64, kx = 63 px (0.1, 0 Å⁻¹)``."""
    samples = ", ".join(f"{place.axis.dim} = {_index(place.index)}" for place in places)
    if places and all(place.axis.role == Role.DETECTOR for place in places):
        samples += " px"
    values = [place.value for place in places]
    units = [place.axis.unit for place in places]
    if not places or any(value is None for value in values):
        return samples
    texts = [rounding.number(value, 4) for value in values if value is not None]
    if len(set(units)) == 1:
        return f"{samples} ({', '.join(texts)} {rounding.unit_text(units[0])})"
    with_units = (f"{text} {rounding.unit_text(unit)}" for text, unit in zip(texts, units, strict=True))
    return f"{samples} ({', '.join(with_units)})"


def _index(index: float) -> str:
    return str(index) if isinstance(index, int) else f"{index:.2f}"


def as_dict(pattern: Pattern, path: str, revision: str | None, picture: str | None) -> dict[str, Any]:
    """Return the numbers of a pattern as plain values.

    Parameters
    ----------
    pattern
        The pattern.
    path, revision
        Of the dataset.
    picture
        File that its picture was written to.
    """
    found = pattern.statistics()
    return {
        "path": path,
        "revision": revision,
        "variable": pattern.variable,
        "position": _plain(pattern.position),
        "dims": [axis.dim for axis in pattern.axes],
        "shape": [axis.size for axis in pattern.axes],
        "dtype": pattern.values.dtype.name,
        "unit": pattern.unit,
        "sum": found.total,
        "mean": found.mean,
        "minimum": found.minimum,
        "maximum": found.maximum,
        "highest": _plain(found.highest) if found.highest is not None else None,
        "center": _plain(found.center) if found.center is not None else None,
        "not_finite": found.not_finite,
        "picture": picture,
    }


def _plain(places: tuple[Place, ...]) -> dict[str, Any]:
    return {place.axis.dim: {"index": place.index, "value": place.value, "unit": place.axis.unit} for place in places}


def lines(pattern: Pattern) -> list[str]:
    """Return a small picture of a pattern for a terminal."""
    from emdvc.render import terminal

    wide = pattern.axes[-1].role in (Role.DETECTOR, Role.SPECTRUM)
    return terminal.picture(pattern.values, colours=terminal.supported(), wide=wide)


def picture(values: NDArray[Any], axes: tuple[Axis, ...], *, name: str, unit: str, title: str) -> bytes:
    """Return the picture of a pattern, a spectrum or an image as PNG.

    Parameters
    ----------
    values, axes
        Its numbers, and its axes, slowest first.
    name, unit
        Of the array.
    title
        The line above the picture.
    """
    from emdvc.formats.results import Result, ResultVariable
    from emdvc.render import picture as pictures

    variable = ResultVariable(name, tuple(axis.dim for axis in axes), values, unit)
    return pictures.draw(Result((variable,), {axis.dim: axis for axis in axes}, title=title))
