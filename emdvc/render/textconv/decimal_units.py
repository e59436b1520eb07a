"""Powers of ten between units of the same kind, for texts that must be there before pint would be imported."""

from __future__ import annotations

#: Unit -> its base unit and the power of ten that it is of it. A voltage is the energy that it gives an electron.
_POWERS = {
    "m": ("m", 0),
    "mm": ("m", -3),
    "um": ("m", -6),
    "nm": ("m", -9),
    "angstrom": ("m", -10),
    "pm": ("m", -12),
    "eV": ("eV", 0),
    "keV": ("eV", 3),
    "MeV": ("eV", 6),
    "kV": ("eV", 3),
    "MV": ("eV", 6),
    "rad": ("rad", 0),
    "mrad": ("rad", -3),
    "urad": ("rad", -6),
    "s": ("s", 0),
    "ms": ("s", -3),
    "us": ("s", -6),
    "ns": ("s", -9),
    "nA": ("A", -9),
    "pA": ("A", -12),
    "Hz": ("Hz", 0),
    "kHz": ("Hz", 3),
}


def power_of_ten(source: str, target: str) -> int | None:
    """Return n where a value in `source` times 10^n is the value in `target`; None where that is not known here."""
    over = source.startswith("1/"), target.startswith("1/")
    one, other = _POWERS.get(source.removeprefix("1/")), _POWERS.get(target.removeprefix("1/"))
    if one is None or other is None or one[0] != other[0] or over[0] != over[1]:
        return None
    return other[1] - one[1] if over[0] else one[1] - other[1]
