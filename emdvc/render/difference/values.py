"""What differs in the numbers of one array, in sentences: how many, where, by how much, and whether that is noise."""

from __future__ import annotations

import math

from emdvc.compare.numbers.values import Tolerance, ValueChange
from emdvc.compare.verdict import Verdict
from emdvc.model.units import pretty
from emdvc.render import columns as text

#: What the places of a scan are called that is no raster.
_PLACES = {"frame": "frame", "time": "time step", "tilt": "tilt"}


def value_lines(change: ValueChange) -> list[str]:
    """Return what differs in the numbers of one array, one sentence to a line, the most important first."""
    lines = [what_differs(change), _how_much(change), _noise(change), _tolerance(change)]
    if not change.complete:
        lines.append("stopped early: there may be more")
    return [line for line in lines if line]


def what_differs(change: ValueChange) -> str:
    """Return how many numbers differ and where, as in ``3 of 4096 probe positions differ, in y 12:14, x 30:31``."""
    if change.arrangement:
        return f"{change.arrangement}: the same numbers" + (f"; {_count(change)}" if change.differing else "")
    if change.verdict is Verdict.ENCODING:
        return f"the same numbers in other bytes{_chunks(change)}"
    if not change.differing:
        return "the same numbers"
    return f"{_count(change)}{_where(change)}{_chunks(change)}"


def _count(change: ValueChange) -> str:
    least = "" if change.complete else "at least "
    places = math.prod(size for _, size in change.scan)
    if change.scan and change.positions:
        many, of, word = change.positions, places, _place(change)
    else:
        many, of, word = change.differing, change.total or change.compared, "number"
    if many >= of:
        return f"all {text.figure(of)} {word}s differ" if of > 1 else f"the only {word} differs"
    verb = "differs" if many == 1 else "differ"
    return f"{least}{text.figure(many)} of {text.figure(of)} {word}s {verb}"


def _place(change: ValueChange) -> str:
    names = [dim for dim, _ in change.scan]
    return _PLACES.get(names[0], "probe position") if len(names) == 1 else "probe position"


def _where(change: ValueChange) -> str:
    """Return the box that holds every difference, as Python writes slices; nothing where it is everywhere."""
    sizes = dict(change.scan)
    if not change.box or all((first, last) == (0, sizes.get(dim, 0) - 1) for dim, first, last in change.box):
        return ""
    single = all(first == last for _, first, last in change.box)
    parts = (f"{dim} {first}" if first == last else f"{dim} {first}:{last + 1}" for dim, first, last in change.box)
    return f", {'at' if single else 'in'} {', '.join(parts)}"


def _chunks(change: ValueChange) -> str:
    if change.chunks_of < 2 or not change.chunks:
        return ""
    return f" ({text.figure(change.chunks)} of {text.figure(change.chunks_of)} chunks)"


def _how_much(change: ValueChange) -> str:
    """Return the size of the differences, their sum, and what is no number any more."""
    parts = []
    named = (("largest", change.largest), ("mean", change.mean), ("RMS", change.rms))
    if change.differing and any(number for _, number in named):
        known = [f"{name} {_short(number)}" for name, number in named if not math.isnan(number)]
        unit = text.shortened(pretty(change.unit))
        parts.append(", ".join(known) + (f" {unit}" if unit and known else ""))
        parts.append(_sum(change.sum_ratio))
    parts += _no_numbers(change)
    return "; ".join(part for part in parts if part)


def _sum(ratio: float | None) -> str:
    if ratio is None or not math.isfinite(ratio):
        return ""
    if ratio == 1.0:
        return "their sum is the same"
    shown = f"{ratio:.5g}"
    # 1.0000004 would read as no change at all
    return f"their sum {text.percent(100.0 * (ratio - 1.0))}" if shown == "1" else f"their sum x {shown}"


def _no_numbers(change: ValueChange) -> list[str]:
    parts = []
    if change.nan_after:
        parts.append(f"{_numbers(change.nan_after)} became NaN")
    if change.nan_before:
        parts.append(
            f"{text.figure(change.nan_before)} NaN became {'a number' if change.nan_before == 1 else 'numbers'}"
        )
    return parts


def _noise(change: ValueChange) -> str:
    noise = change.noise
    if noise is None:
        return ""
    p = "p < 1e-12" if noise.p_value < 1e-12 else f"p = {noise.p_value:.2g}"
    dead = f"{text.figure(noise.masked)} dead or stuck pixel{'' if noise.masked == 1 else 's'} left out"
    aside = f"; {dead}" if noise.masked else ""
    if change.verdict is Verdict.NOISE_EQUIVALENT:
        return f"as two exposures differ ({p}{aside})"
    return f"not as two exposures differ ({p}{aside})"


def _tolerance(change: ValueChange) -> str:
    if not change.tolerance or not change.differing:
        return ""
    limits = tolerance_text(change.tolerance, change.unit)
    if change.verdict is Verdict.WITHIN_TOLERANCE or not change.outside:
        return f"all within the tolerance ({limits})"
    return f"{_numbers(change.outside)} beyond the tolerance ({limits})"


def tolerance_text(tolerance: Tolerance, unit: str = "") -> str:
    """Return what is tolerated, as in ``relative 1e-06, 4 ulp``."""
    parts = []
    if tolerance.rtol:
        parts.append(f"relative {tolerance.rtol:.3g}")
    if tolerance.atol:
        parts.append(f"absolute {tolerance.atol:.3g} {text.shortened(pretty(unit))}".rstrip())
    if tolerance.ulp:
        parts.append(f"{tolerance.ulp} ulp")
    return ", ".join(parts)


def _numbers(count: int) -> str:
    return f"{text.figure(count)} number{'' if count == 1 else 's'}"


def _short(number: float) -> str:
    """Return a number as it stands in a sentence: whole where it is, else three figures."""
    whole = math.isfinite(number) and number == int(number) and abs(number) < 1e9
    return text.figure(number) if whole else f"{number:.3g}"
