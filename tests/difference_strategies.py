"""Random differences for property tests: every kind of change, with texts that a file might hold and nobody expects."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from hypothesis import strategies as st

from emdvc.compare.axes import AxisChange
from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Noise, Seen, Tolerance, ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange, VariableChange
from emdvc.compare.verdict import Verdict
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import VariableInfo

#: What would break a table, call a person, open a tag, link an issue, move a terminal's cursor.
NASTY = (
    "a|b",
    "`code`",
    "``|``",
    "</details>",
    "<script>alert(1)</script>",
    "<!-- never closed",
    "@ruska",
    "#12 and !7",
    "line\nbreak",
    "\r\n\r\n# heading",
    "\x1b[31mred",
    "*bold* _under_ ~gone~ [link](http://example.org)",
    "&amp; \\| \\`",
    ":+1: $x$ %4 GH-3",
    "- list",
    "1. list",
    "```",
    "",
    "Å" * 100,
    "\u202egnp.exe",
)
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=12))
NAMES = st.one_of(st.sampled_from(("data", "image", "y", "kx", "beam.energy", "operator")), TEXTS)
UNITS = st.sampled_from(("nm", "angstrom", "1/nm", "px", "keV", "deg", "", "counts", "vendor unit", "a|b <c> @d"))
FLOATS = st.one_of(st.floats(), st.integers(-(2**53), 2**53))
ANY_FLOATS = st.floats(width=32)
COUNTS = st.integers(0, 10**7)
QUANTITIES = st.builds(
    Quantity, st.one_of(FLOATS, st.lists(FLOATS, min_size=1, max_size=3).map(tuple)), UNITS, st.sampled_from(Origin)
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    FLOATS,
    TEXTS,
    QUANTITIES,
    st.lists(st.one_of(FLOATS, TEXTS), max_size=3),
    st.just({}),
    st.dictionaries(TEXTS, st.one_of(FLOATS, TEXTS), max_size=2),
    st.sampled_from((date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5))),
)
KEYS = st.builds(KeyChange, NAMES, LEAVES, LEAVES, st.booleans())
SIZES = st.integers(1, 70)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    """Return an axis: calibrated or not, even or not."""
    size, unit = draw(SIZES), draw(UNITS)
    kind = draw(st.sampled_from(("bare", "even", "uneven")))
    if kind == "uneven":
        numbers = draw(st.lists(ANY_FLOATS, min_size=size, max_size=size))
        return Axis(draw(NAMES), size, draw(st.sampled_from(Role)), values=Quantity(tuple(numbers), unit))
    if kind == "bare":
        return Axis(draw(NAMES), size, draw(st.sampled_from(Role)))
    scale, offset = Quantity(draw(ANY_FLOATS), unit), Quantity(draw(ANY_FLOATS), unit)
    return Axis(draw(NAMES), size, draw(st.sampled_from(Role)), scale, offset, calibration="scan.step")


@st.composite
def _pair(draw: st.DrawFn, one: st.SearchStrategy[Any], aspects: tuple[str, ...]) -> tuple[Any, Any, tuple[str, ...]]:
    """Return what was and what is, at least one of them, and what differs where both are there."""
    before, after = draw(st.one_of(st.none(), one)), draw(one)
    if before is None:
        return (before, after, ()) if draw(st.booleans()) else (after, before, ())
    chosen = draw(st.lists(st.sampled_from(aspects), min_size=1, max_size=3, unique=True))
    return before, after, tuple(chosen)


@st.composite
def axis_changes(draw: st.DrawFn) -> AxisChange:
    """Return a change of an axis."""
    before, after, aspects = draw(_pair(axes(), ("size", "role", "scale", "offset", "unit")))
    because = ("diffraction.pixel_size",) if aspects and draw(st.booleans()) else ()
    return AxisChange(draw(NAMES), before, after, aspects, because)


INFOS = st.builds(
    VariableInfo,
    st.lists(NAMES, max_size=4).map(tuple),
    st.lists(st.integers(0, 300), max_size=4).map(tuple),
    st.sampled_from(("uint16", "float32")),
    st.sampled_from(("", "sha256-units:" + "ab" * 32)),
    UNITS,
)


@st.composite
def variable_changes(draw: st.DrawFn) -> VariableChange:
    """Return a change of an array's form."""
    return VariableChange(draw(NAMES), *draw(_pair(INFOS, ("dims", "shape", "dtype", "digest", "unit"))))


@st.composite
def value_changes(draw: st.DrawFn) -> ValueChange:
    """Return a change of an array's numbers, on a scan or not, with the map of what differs or without."""
    lengths = draw(st.lists(SIZES, max_size=3))
    scan = tuple(zip(("tilt", "y", "x")[3 - len(lengths) :], lengths, strict=True))
    places = math.prod(lengths) if lengths else 0
    many = draw(st.integers(0, places))
    changed = np.zeros(lengths, np.bool_)
    changed.flat[np.random.default_rng(draw(st.integers(0, 99))).permutation(places)[:many]] = True
    found = np.nonzero(changed) if many else ()
    box = tuple((dim, int(at.min()), int(at.max())) for (dim, _), at in zip(scan, found, strict=False))
    total = draw(COUNTS)
    return ValueChange(
        draw(NAMES),
        draw(st.sampled_from(Verdict)),
        differing=draw(st.integers(0, total)),
        compared=total,
        total=total,
        positions=many,
        scan=scan,
        box=box,
        largest=abs(draw(st.floats())),
        mean=draw(st.floats()),
        rms=abs(draw(st.floats())),
        sum_ratio=draw(st.one_of(st.none(), st.floats())),
        nan_before=draw(COUNTS),
        nan_after=draw(COUNTS),
        arrangement=draw(st.sampled_from(("", "ky reversed", "y and x exchanged; ky reversed", "cut to y 0:63"))),
        tolerance=draw(st.sampled_from((Tolerance(), Tolerance(1e-6, 0.5, 4)))),
        outside=draw(COUNTS),
        noise=draw(st.one_of(st.none(), st.builds(Noise, st.floats(0, 1), st.integers(0, 9)))),
        chunks=draw(st.integers(0, 9)),
        chunks_of=draw(st.integers(0, 9)),
        complete=draw(st.booleans()),
        unit=draw(UNITS),
        seen=draw(st.sampled_from((None, Seen(), Seen(changed=changed)))) if lengths else None,
    )


CAUSES = st.builds(
    Cause,
    st.sampled_from(CauseKind),
    NAMES,
    NAMES,
    st.one_of(st.none(), st.booleans(), ANY_FLOATS, TEXTS),
    st.one_of(st.none(), st.booleans(), ANY_FLOATS, TEXTS),
    st.integers(0, 99),
    st.lists(NAMES, max_size=2).map(tuple),
    st.integers(0, 9),
)
STATISTICS = st.builds(StatisticChange, NAMES, st.sampled_from(("sum", "q50", "max", "count")), FLOATS, FLOATS)


def _tuples(one: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=most).map(tuple)


@st.composite
def datasets(draw: st.DrawFn, number: int = 0) -> DatasetDifference:
    """Return what differs of one dataset; its path ends with its number."""
    status = draw(st.sampled_from(("added", "removed", "renamed", "changed", "changed", "changed")))
    path = PurePosixPath(f"{draw(NAMES)}{number}.zarr")
    if status in ("added", "removed"):
        return DatasetDifference(path, status)
    return DatasetDifference(
        path,
        status,
        draw(st.sampled_from(("raw", "result"))),
        record=draw(_tuples(KEYS, 6)),
        axes=draw(_tuples(axis_changes(), 2)),
        variables=draw(_tuples(variable_changes(), 2)),
        statistics=draw(_tuples(STATISTICS)),
        provenance=draw(_tuples(KEYS)),
        source=draw(_tuples(KEYS)),
        vendor=draw(_tuples(KEYS)),
        values=draw(_tuples(value_changes(), 2)),
        bytes_differ=draw(st.booleans()),
        causes=draw(_tuples(CAUSES)),
        before_path=PurePosixPath(f"was/{draw(NAMES)}") if status == "renamed" else None,
        unread=draw(st.sampled_from(("", "3 of 64 chunks are neither in the cache nor on a remote"))),
    )


@st.composite
def differences(draw: st.DrawFn, most: int = 5) -> ProjectDifference:
    """Return what differs between two revisions."""
    found = tuple(draw(datasets(number)) for number in range(draw(st.integers(0, most))))
    revisions = st.one_of(st.sampled_from(("HEAD~1", "v1.0", "a|`b`")), TEXTS)
    return ProjectDifference(draw(revisions), draw(st.one_of(st.none(), revisions)), found, len(found) + draw(SIZES))
