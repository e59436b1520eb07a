"""From the arrays that a file holds to an open dataset: the signal is chosen, axes are named, calibrations settled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from emdvc.errors import Code, FormatError, suggest
from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Variable
from emdvc.formats.dimensions import FileAxis, name_dimensions, settle
from emdvc.model import units
from emdvc.model.axis import Axis
from emdvc.model.record import Record


@dataclass(frozen=True, slots=True)
class Found:
    """One array that a file holds, with its axes as the file describes them.

    Parameters
    ----------
    name
        Name that ``--signal`` takes.
    array, axes
        The array and one axis per dimension, slowest first.
    unit
        Unit of the values, as the file spells it.
    signal_type
        What the file calls its kind of signal.
    dims
        Dimensions, where the file names them in emdvc's words or the reader knows them.
    """

    name: str
    array: LazyArray
    axes: tuple[FileAxis, ...]
    unit: str = ""
    signal_type: str = ""
    dims: tuple[str, ...] | None = None


def assemble(
    found: Sequence[Found],
    *,
    options: ReadOptions,
    reader: str,
    where: str,
    record: Record | None = None,
    vendor: dict[str, Any] | None = None,
    close: Callable[[], None] | None = None,
) -> Opened:
    """Return an open dataset of the arrays of a file that share their axes; the largest is the main one.

    Raises
    ------
    FormatError
        The file holds no array, no signal of that name, or several that share no axes and none was named.
    """
    usable = [one for one in found if one.array.dtype.kind in "biufc"]
    if not usable:
        raise FormatError(f"{where} holds no array of numbers", evidence=_listed(found) or "it holds no array at all")
    if options.signal is not None:
        usable = [_named(usable, options.signal)]
    # the largest first; of equal ones the first in the file
    usable.sort(key=lambda one: -math.prod(one.array.shape))
    record = deepcopy(record) if record else {}
    axes: dict[str, Axis] = {}
    variables: list[Variable] = []
    before = deepcopy(record)
    named = [(one, one.dims or name_dimensions(one.axes, one.signal_type)) for one in usable]
    among = tuple(dict.fromkeys(dim for _, dims in named for dim in dims))
    for one, dims in named:
        own_record = deepcopy(before)
        mine = settle(dims, one.axes, own_record, among)
        if variables and (_clash(axes, mine) or not _same_steps(record, own_record, mine)):
            raise FormatError(
                f"{where} holds several signals with axes of their own: say which one is meant",
                code=Code.FORMAT_AMBIGUOUS,
                evidence=_listed(usable),
                hint=f"--signal '{usable[0].name}'",
            )
        settle(dims, one.axes, record, among)
        axes.update({dim: axis for dim, axis in mine.items() if dim not in axes})
        variables.append(Variable(one.name, tuple(dims), one.array, value_unit(one.unit)))
    opened = Opened(tuple(variables), axes, record, vendor or {}, reader)
    if close is not None:
        opened.close = close
    return opened


def value_unit(unit: str) -> str:
    """Return the unit of an array's values in emdvc's spelling."""
    spelt = units.normalise(unit)
    return "counts" if spelt.lower() in ("count", "counts") else spelt


def _named(found: Sequence[Found], signal: str) -> Found:
    for one in found:
        if one.name == signal:
            return one
    near = suggest(signal, [one.name for one in found])
    raise FormatError(
        f"there is no signal '{signal}' in this file",
        code=Code.NOT_FOUND,
        evidence=_listed(found),
        hint=f"did you mean --signal '{near}'?" if near else f"--signal '{found[0].name}'",
    )


def _clash(one: dict[str, Axis], other: dict[str, Axis]) -> bool:
    return any(one[dim] != other[dim] for dim in set(one) & set(other))


def _same_steps(record: Record, own: Record, axes: dict[str, Axis]) -> bool:
    """Say whether an array's calibrations agree with those that the record already holds."""
    from emdvc.model import record as rec

    for key in {axis.calibration for axis in axes.values() if axis.calibration}:
        mine, theirs = rec.get(own, key), rec.get(record, key)
        if mine is not None and theirs is not None and mine != theirs:
            return False
    return True


def _listed(found: Sequence[Found], limit: int = 8) -> str:
    names = [f"{one.name} {one.array.shape} {one.array.dtype.name}" for one in found[:limit]]
    return "; ".join(names) + (f"; and {len(found) - limit} more" if len(found) > limit else "")
