"""Units: how microscopists spell them, and their conversion (by pint, imported only when something is converted)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from emdvc.errors import Code, MetadataError

if TYPE_CHECKING:
    import pint

# Spellings found in instruments' files and in people's hands -> the one spelling that emdvc writes.
# `A` alone is the angstrom here, as every microscopist reads it; currents are given in nA or pA.
_SPELLINGS = {
    "": "",
    "Å": "angstrom",
    "\u212b": "angstrom",
    "A": "angstrom",
    "Angstrom": "angstrom",
    "angstroms": "angstrom",
    "1/Å": "1/angstrom",
    "1/\u212b": "1/angstrom",
    "1/A": "1/angstrom",
    "1 / Å": "1/angstrom",
    "Å-1": "1/angstrom",
    "Å^-1": "1/angstrom",
    "Å⁻¹": "1/angstrom",
    "A^-1": "1/angstrom",
    "A-1": "1/angstrom",
    "$A^{-1}$": "1/angstrom",
    "Angstrom^-1": "1/angstrom",
    "angstrom^-1": "1/angstrom",
    "1 / nm": "1/nm",
    "nm^-1": "1/nm",
    "nm-1": "1/nm",
    "nm⁻¹": "1/nm",
    "$nm^{-1}$": "1/nm",
    "1/µm": "1/um",
    "1/μm": "1/um",
    "µm": "um",
    "μm": "um",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "nanometer": "nm",
    "nanometers": "nm",
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "px": "px",
    "pixel": "px",
    "pixels": "px",
    "sec": "s",
    "seconds": "s",
    "eV": "eV",
    "ev": "eV",
    "kev": "keV",
    "KeV": "keV",
    "kV": "kV",
    "milliradian": "mrad",
    "milliradians": "mrad",
    "e-/A^2": "e/angstrom^2",
    "e/A^2": "e/angstrom^2",
    "e/Å^2": "e/angstrom^2",
    "e/Å²": "e/angstrom^2",
    "count": "counts",
}

#: Units shown to a reader in the field's typography.
_PRETTY = {
    "1/angstrom": "1/Å",
    "angstrom": "Å",
    "um": "µm",
    "1/um": "1/µm",
    "deg": "°",
    "e/angstrom^2": "e/Å²",
}


def normalise(unit: str) -> str:
    """Return the spelling that emdvc writes for a unit; a spelling that it does not know is returned unchanged."""
    unit = unit.strip()
    if unit in _SPELLINGS:
        return _SPELLINGS[unit]
    tight = unit.replace(" ", "").replace("**", "^")
    return _SPELLINGS.get(tight, tight)


def pretty(unit: str) -> str:
    """Return a unit as a reader expects to see it (``1/angstrom`` as ``1/Å``)."""
    return _PRETTY.get(unit, unit)


@lru_cache(maxsize=1)
def registry() -> pint.UnitRegistry[float]:
    """Return the one pint registry, with the pixel, the electron and the count added."""
    import pint

    units: pint.UnitRegistry[float] = pint.UnitRegistry(on_redefinition="ignore")
    units.define("px = [pixel]")
    units.define("counts = [counts]")
    # an accelerating voltage is spoken of as a beam energy and the other way round: 200 kV is 200 keV
    units.define("kV = 1000 * electron_volt")
    units.define("MV = 1e6 * electron_volt")
    units.define("electrons = [electrons]")
    return units


def _for_pint(unit: str) -> str:
    # in `e/angstrom^2` the letter is an electron, a number of things; to pint it is a charge
    return re.sub(r"(?<![\w])e(?![\w])", "electrons", unit) or "dimensionless"


def known(unit: str) -> bool:
    """Say whether pint can make sense of a unit."""
    if unit == "":
        return True
    import pint

    try:
        registry().parse_units(_for_pint(unit))
    except (pint.errors.PintError, ValueError, TypeError, AttributeError):
        return False
    except Exception:  # pint's parser lets errors of its tokenizer through, and any of them means "not a unit"
        return False
    return True


def factor(source: str, target: str) -> float:
    """Return the number by which a value in `source` is multiplied to be in `target`.

    Raises
    ------
    MetadataError
        A unit is unknown, or the two measure different things.
    """
    source, target = normalise(source), normalise(target)
    if source == target:
        return 1.0
    import pint

    for unit in (source, target):
        if not known(unit):
            raise MetadataError(
                f"unknown unit '{unit}'",
                code=Code.METADATA_UNIT,
                hint="write it as in nm, 1/angstrom, mrad, keV, eV, deg, s, px",
            )
    try:
        quantity = registry().Quantity(1.0, _for_pint(source)).to(_for_pint(target))
    except pint.errors.DimensionalityError as error:
        raise MetadataError(
            f"a value in {source or 'no unit'} cannot be given in {target or 'no unit'}",
            code=Code.METADATA_UNIT,
            evidence=str(error),
        ) from error
    return float(quantity.magnitude)


def compatible(source: str, target: str) -> bool:
    """Say whether a value in `source` can be converted to `target`."""
    try:
        factor(source, target)
    except MetadataError:
        return False
    return True
