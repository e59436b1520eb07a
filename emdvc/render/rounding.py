"""Round numbers for people: lengths of scale bars, ticks of axes, figures. Exact arithmetic, no numpy."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

#: Unit -> the unit a thousand times larger that a reader expects instead.
_LARGER = {
    "pm": "nm",
    "nm": "um",
    "um": "mm",
    "mrad": "rad",
    "eV": "keV",
    "us": "ms",
    "ms": "s",
}
_POWERS = {"1/angstrom": "Å⁻¹", "1/nm": "nm⁻¹", "1/um": "µm⁻¹", "1/pm": "pm⁻¹", "e/angstrom^2": "e/Å²"}


def exponent_of(value: float | Fraction) -> int:
    """Return n with 10^n <= |value| < 10^(n+1), exactly; 0 for zero."""
    if value == 0:
        return 0
    exact = abs(Fraction(value))
    guess = len(str(exact.numerator)) - len(str(exact.denominator))
    while Fraction(10) ** guess > exact:
        guess -= 1
    while Fraction(10) ** (guess + 1) <= exact:
        guess += 1
    return guess


def largest_round(limit: float | Fraction) -> Fraction:
    """Return the largest of 1, 2, 5 times a power of ten that is at most `limit` (which is positive)."""
    exact = Fraction(limit)
    power = Fraction(10) ** exponent_of(exact)
    return max(step * power for step in (1, 2, 5) if step * power <= exact)


def scale_bar(step: float, samples: float, unit: str) -> tuple[float, str]:
    """Return the length of a scale bar in samples, and its label.

    The bar has a round length (1, 2 or 5 times a power of ten) and is at most a third of the image.

    Parameters
    ----------
    step
        Distance of two samples, in `unit`.
    samples
        Width of the image in samples.
    unit
        Unit of the step; ``px`` gives a bar of at least one whole pixel.
    """
    exact = abs(Fraction(step))
    length = largest_round(exact * Fraction(samples) / 3)
    if unit == "px":
        length = max(length, Fraction(1))
    return float(length / exact), f"{figure(*_readable(length, unit))}"


def _readable(length: Fraction, unit: str) -> tuple[Fraction, str]:
    while length >= 1000 and unit in _LARGER:
        length, unit = length / 1000, _LARGER[unit]
    return length, unit


def unit_text(unit: str) -> str:
    """Return a unit as it is printed on a picture (``1/angstrom`` as ``Å⁻¹``)."""
    from emdvc.model.units import pretty

    return _POWERS.get(unit, pretty(unit))


def figure(value: float | Fraction, unit: str = "") -> str:
    """Return a value with its unit, exact to four figures: ``0.2 Å⁻¹``, ``3.48·10⁷ counts``, ``12 340``."""
    text = number(value)
    unit = unit_text(unit)
    return text if not unit else f"{text}{'' if unit == '°' else ' '}{unit}"


def number(value: float | Fraction, digits: int = 4) -> str:
    """Return a number to a few figures, whole numbers below 10^6 in full; a true minus sign, powers of ten raised."""
    exact = Decimal(value) if not isinstance(value, Fraction) else Decimal(value.numerator) / Decimal(value.denominator)
    if not exact.is_finite():
        return {"NaN": "NaN", "Infinity": "∞", "-Infinity": "−∞"}.get(str(exact), str(exact))
    if exact == exact.to_integral_value() and abs(exact) < 10**6:
        return grouped(int(exact))
    exponent = exact.adjusted()
    if -4 <= exponent < 6:
        text = f"{exact:.{max(0, digits - 1 - exponent)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else grouped(int(text))
        return text.replace("-", "−")
    mantissa, _, power = f"{exact:.{digits - 1}E}".partition("E")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}·10{_raised(int(power))}".replace("-", "−")


def grouped(value: int) -> str:
    """Return a whole number with its thousands set apart: ``12 340``; four digits stay together."""
    text = str(value) if abs(value) < 10_000 else f"{value:,}".replace(",", " ")
    return text.replace("-", "−")


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def ticks(low: float, high: float, most: int) -> list[Fraction]:
    """Return round positions between two values, at most `most`, evenly spaced by 1, 2 or 5 times a power of ten."""
    first, last = Fraction(low), Fraction(high)
    if first > last:
        first, last = last, first
    if first == last:
        return [first]
    power = Fraction(10) ** (exponent_of((last - first) / most) - 1)
    step = next(
        step
        for scale in range(6)
        for step in (power * 10**scale, 2 * power * 10**scale, 5 * power * 10**scale)
        if last // step - -(-first // step) + 1 <= most
    )
    return [step * index for index in range(-(-first // step), last // step + 1)]


def tick_labels(positions: list[Fraction]) -> list[str]:
    """Return the labels of ticks, all with the decimals that their spacing needs."""
    if len(positions) < 2:
        return [number(position) for position in positions]
    step = positions[1] - positions[0]
    largest = max(abs(position) for position in positions)
    if exponent_of(largest) >= 5 or (largest and exponent_of(largest) < -3):
        return [number(position) for position in positions]
    decimals = max(0, -exponent_of(step))
    if decimals == 0:
        return [grouped(int(position)) for position in positions]
    return [f"{Decimal(p.numerator) / Decimal(p.denominator):.{decimals}f}".replace("-", "−") for p in positions]


def steep_ticks(high: float, most: int) -> list[Fraction]:
    """Return round positions from zero to `high` that a square-root scale spreads well: 1, 2, 5 times powers of ten."""
    found: list[Fraction] = []
    step = largest_round(high)
    place = Fraction(high)
    while len(found) < most - 1 and step > 0:
        # on the scale, the next tick is at least 1/most below the last one
        if not found or _root_gap(place, step, Fraction(high), most):
            found.append(step)
            place = step
        step = largest_round(step * Fraction(999, 1000))
        if not _root_gap(step, Fraction(0), Fraction(high), most):
            break
    return [Fraction(0), *reversed(found)]


def _root_gap(upper: Fraction, lower: Fraction, high: Fraction, most: int) -> bool:
    # sqrt(upper / high) - sqrt(lower / high) >= 1 / most
    import math

    return math.sqrt(upper / high) - math.sqrt(lower / high) >= 1 / most
