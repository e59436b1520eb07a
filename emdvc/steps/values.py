"""Types of parameters that carry a unit, as pydantic reads them from params.yaml and from ``--set``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from emdvc.errors import MetadataError
from emdvc.model import units
from emdvc.model.quantity import Quantity

#: Units that a radius on the detector can be given in; the first is assumed when none is written.
RADIUS_UNITS = ("px", "1/angstrom", "mrad")


def _reader(allowed: tuple[str, ...], count: int) -> Any:
    def read(value: Any) -> Quantity:
        try:
            if isinstance(value, Quantity):
                quantity = value
            elif isinstance(value, dict):
                quantity = Quantity.from_dict(value)
            elif isinstance(value, list | tuple):
                quantity = Quantity.parse(", ".join(str(part) for part in value), unit=allowed[0])
            else:
                quantity = Quantity.parse(value, unit=allowed[0])
        except MetadataError as error:
            raise ValueError(error.cause + (f" ({error.hint})" if error.hint else "")) from error
        if len(quantity.values) != count:
            raise ValueError(f"needs {count} number{'s' if count > 1 else ''}, got {len(quantity.values)}: '{value}'")
        if not any(units.compatible(quantity.unit, unit) for unit in allowed):
            raise ValueError(f"is given in {' or '.join(allowed)}, not in '{quantity.unit}'")
        return quantity

    return read


def _text(quantity: Quantity) -> str:
    numbers = ", ".join(repr(number) for number in quantity.values)
    return f"{numbers} {quantity.unit}".strip()


#: A distance from the centre, in pixels, as a spatial frequency, or as a scattering angle.
Radius = Annotated[
    Quantity,
    BeforeValidator(_reader(RADIUS_UNITS, 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px, 1/angstrom or mrad"}),
]

#: A position on the detector (y, x) in pixels, counted from the middle of pixel 0.
Position = Annotated[
    Quantity,
    BeforeValidator(_reader(("px",), 2)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px (y, x)"}),
]

#: Another dataset: its path from the project's root; ``path::array`` names one of its arrays.
DataPath = Annotated[str, WithJsonSchema({"type": "string", "path": True})]

#: An energy loss or an X-ray energy.
Energy = Annotated[
    Quantity,
    BeforeValidator(_reader(("eV",), 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "eV or keV"}),
]

#: An angle in the plane of the detector or of the scan.
Angle = Annotated[
    Quantity,
    BeforeValidator(_reader(("deg",), 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "deg"}),
]

#: A distance on the sample, in probe positions or as a length.
ScanLength = Annotated[
    Quantity,
    BeforeValidator(_reader(("px", "nm"), 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px or nm"}),
]

#: Height and width (y, x) of a part of the detector.
Extent = Annotated[
    Quantity,
    BeforeValidator(_reader(RADIUS_UNITS, 2)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px, 1/angstrom or mrad (y, x)"}),
]

#: A length along the beam: a thickness, a mean free path.
Length = Annotated[
    Quantity,
    BeforeValidator(_reader(("nm",), 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "nm"}),
]

#: A density of mass.
Density = Annotated[
    Quantity,
    BeforeValidator(_reader(("g/cm^3",), 1)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "g/cm^3"}),
]

#: A part of the detector (start, stop) along one dimension: whole pixels, or distances from the undiffracted beam.
DetectorRange = Annotated[
    Quantity,
    BeforeValidator(_reader(RADIUS_UNITS, 2)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px, 1/angstrom or mrad (start, stop)"}),
]

#: A part of the scan (start, stop) along one dimension: whole probe positions, or lengths.
ScanRange = Annotated[
    Quantity,
    BeforeValidator(_reader(("px", "nm"), 2)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px or nm (start, stop)"}),
]

#: A part (start, stop) of a dimension that is counted, not measured.
CountedRange = Annotated[
    Quantity,
    BeforeValidator(_reader(("px",), 2)),
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "unit": "px (start, stop)"}),
]
