"""Hypothesis strategies for quantities, axes, records, sidecars and small scans. Needs the package hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.model import record as rec
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo

#: Units of the same dimension, one group per line: a quantity in one can be said in each other.
UNITS = (
    ("nm", "angstrom", "um", "mm"),
    ("1/angstrom", "1/nm"),
    ("eV", "keV", "kV"),
    ("mrad", "deg"),
    ("s", "ms", "us"),
    ("px",),
    ("",),
)

_NUMBERS = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False, width=64).filter(
    lambda x: x == 0 or abs(x) > 1e-12
)
# what YAML 1.2 can hold in a plain file, as a person writes it: no control characters, no lone surrogates
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=24)
_WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_ROLES = {
    "y": Role.SCAN,
    "x": Role.SCAN,
    "ky": Role.DETECTOR,
    "kx": Role.DETECTOR,
    "energy": Role.SPECTRUM,
    "tilt": Role.STACK,
}
_DTYPES = ("uint8", "uint16", "uint32", "int32", "float32", "float64")


@st.composite
def quantities(draw: st.DrawFn, unit: str | None = None, numbers: int | None = None) -> Quantity:
    """Return quantities, of any unit or a given one, with one number, a pair, or three."""
    unit = draw(st.sampled_from([u for group in UNITS for u in group])) if unit is None else unit
    count = draw(st.sampled_from((1, 1, 2, 3))) if numbers is None else numbers
    values = draw(st.lists(_NUMBERS, min_size=count, max_size=count))
    return Quantity(values[0] if count == 1 else tuple(values), unit, draw(st.sampled_from(Origin)))


@st.composite
def axes(draw: st.DrawFn, dim: str | None = None, size: int | None = None) -> Axis:
    """Return axes as a sidecar holds them: calibrated by the record, evenly spaced, listed, or uncalibrated."""
    dim = draw(st.sampled_from(sorted(_ROLES))) if dim is None else dim
    size = draw(st.integers(1, 9)) if size is None else size
    role = _ROLES[dim]
    if (role, dim) in CALIBRATED_BY:
        return Axis(dim, size, role, calibration=CALIBRATED_BY[role, dim])
    kind = draw(st.sampled_from(("even", "listed", "plain")))
    unit = draw(st.sampled_from(("eV", "deg", "nm")))
    if kind == "even":
        return Axis(dim, size, role, scale=draw(quantities(unit, 1)), offset=draw(quantities(unit, 1)))
    if kind == "listed":
        listed = draw(st.lists(_NUMBERS, min_size=size, max_size=size))
        return Axis(dim, size, role, values=Quantity(tuple(listed), unit))
    return Axis(dim, size, role)


def _values(field: rec.Field) -> st.SearchStrategy[Any]:
    match field.kind:
        case "quantity":
            return quantities(field.unit, 1)
        case "pair":
            return quantities(field.unit, 2)
        case "number":
            return _NUMBERS
        case "integer":
            return st.integers(0, 2**31)
        case "flag":
            return st.booleans()
        case "list":
            return (
                st.lists(st.integers(1, 4096), max_size=3)
                if field.key.endswith("shape")
                else st.lists(_WORDS, max_size=3)
            )
        case "map":
            return st.dictionaries(_WORDS, _NUMBERS, max_size=3)
        case _:
            return _TEXTS


@st.composite
def records(draw: st.DrawFn, keys: tuple[str, ...] | None = None) -> rec.Record:
    """Return acquisition records: at some keys (of those given, if any) a value of the right kind and unit, or null."""
    chosen = draw(st.lists(st.sampled_from(keys or tuple(rec.BY_KEY)), unique=True, max_size=8))
    record: rec.Record = {}
    for key in chosen:
        rec.put(record, key, draw(st.one_of(st.none(), _values(rec.BY_KEY[key]))))
    return record


@st.composite
def sidecars(draw: st.DrawFn) -> Sidecar:
    """Return sidecars of raw data: a record, one array, and its axes."""
    dims = draw(st.sampled_from((("y", "x", "ky", "kx"), ("y", "x", "energy"), ("tilt", "y", "x"), ("ky", "kx"))))
    found = {dim: draw(axes(dim)) for dim in dims}
    digest = "sha256-units:" + draw(st.text("0123456789abcdef", min_size=64, max_size=64))
    info = VariableInfo(
        dims,
        tuple(found[dim].size for dim in dims),
        draw(st.sampled_from(_DTYPES)),
        digest,
        draw(st.sampled_from(("counts", ""))),
    )
    vendor = st.dictionaries(
        _WORDS, st.one_of(_TEXTS, _NUMBERS, st.integers(-(2**53), 2**53), st.booleans()), max_size=4
    )
    return Sidecar(draw(records()), found, {"counts": info}, "counts", {"reader": "npy@1"}, vendor=draw(vendor))


@st.composite
def scans(
    draw: st.DrawFn, frame: tuple[int, ...] | None = None, highest: int = 4095
) -> NDArray[np.unsignedinteger[Any]]:
    """Return small scans of counts, shape ``(y, x, *frame)``, of any unsigned type that holds `highest`.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    frame
        Shape of one frame; by default between (1, 1) and (9, 9).
    highest
        Highest count.
    """
    frame = draw(st.tuples(st.integers(1, 9), st.integers(1, 9))) if frame is None else frame
    shape = (*draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), *frame)
    names = [name for name in ("uint8", "uint16", "uint32") if np.iinfo(name).max >= highest]
    # one seed instead of one draw per pixel: large examples stay quick, and shrinking works on the shape
    numbers = np.random.PCG64(draw(st.integers(0, 2**32 - 1))).random_raw(int(np.prod(shape)))
    counts = (np.asarray(numbers) % np.uint64(highest + 1)).astype(draw(st.sampled_from(names)))
    return counts.reshape(shape)
