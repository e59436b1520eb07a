"""Which chunks an array is cut into, from what a person says or from the array alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, StepError
from emdvc.formats.contract import Variable
from emdvc.formats.stored_array import StoredArray
from emdvc.formats.zarr_codecs import named
from emdvc.model.axis import Axis, Role

if TYPE_CHECKING:
    import numpy as np

#: Bytes of an automatic chunk at most, before compression; a frame that is larger is a chunk of its own.
CHUNK = 2 << 20
#: Files of an array at most, where its shards are automatic: each costs DVC time in every command.
FILES = 4096
#: Dimensions of a frame, an image, a spectrum.
_FRAME = (Role.DETECTOR, Role.SPECTRUM, Role.IMAGE)


@dataclass(frozen=True, slots=True)
class Form:
    """How a dataset is to be stored, as a person says it.

    Parameters
    ----------
    chunks, shards
        ``16,16,all,all``; ``auto``, and of shards ``none``.
    codec
        As :func:`emdvc.formats.zarr_codecs.named` takes it.
    layout
        Order of the numbers in a chunk: ``frame`` after frame, or of each detector ``pixel`` all probe positions.
    """

    chunks: str = "auto"
    codec: str = "blosc-lz4"
    shards: str = "auto"
    layout: str = "frame"

    def of(self, variable: Variable, axes: Mapping[str, Axis], *, main: bool = True) -> StoredArray:
        """Return how an array is stored.

        Parameters
        ----------
        variable, axes
            The array and its axes.
        main
            Whether it is the array that :attr:`chunks` and :attr:`shards` speak of; any other is cut automatically.

        Raises
        ------
        StepError
            The lengths do not fit the array.
        """
        shape, dtype = variable.array.shape, variable.array.dtype
        chunk = automatic(shape, dtype, variable.dims, axes)
        if main and self.chunks != "auto":
            wanted = _lengths("chunks", self.chunks, variable)
            chunk = tuple(min(length, max(1, n)) for length, n in zip(wanted, shape, strict=True))
        scan = scan_axes(variable.dims, axes)
        shard = automatic_shard(shape, chunk, scan) if self.shards == "auto" else None
        if main and self.shards not in ("auto", "none"):
            shard = _shard(self.shards, chunk, variable)
        frame = tuple(axis for axis in range(len(shape)) if axis not in scan)
        order = (*frame, *scan) if self.layout == "pixel" and scan and frame else tuple(range(len(shape)))
        codec = named(self.codec, dtype.itemsize)
        return StoredArray(
            store_path(variable.name), shape, dtype, variable.dims, variable.unit, chunk, shard, order, codec
        )


def scan_axes(dims: tuple[str, ...], axes: Mapping[str, Axis]) -> tuple[int, ...]:
    """Return which dimensions are no frame's: the scan, a stack. None of an array that is all frame."""
    return tuple(index for index, dim in enumerate(dims) if axes[dim].role not in _FRAME)


def automatic(
    shape: tuple[int, ...], dtype: np.dtype[Any], dims: tuple[str, ...], axes: Mapping[str, Axis]
) -> tuple[int, ...]:
    """Return the chunk of an array: whole frames, of a square of probe positions that holds at most :data:`CHUNK`.

    A stack or a series in time grows last; an array without frames (an image) is cut where it is larger.
    """
    scan = scan_axes(dims, axes)
    chunk = [1 if axis in scan else max(1, n) for axis, n in enumerate(shape)]
    series = [axis for axis in scan if axes[dims[axis]].role == Role.STACK]
    for group in ([axis for axis in scan if axis not in series], series):
        while True:
            growing = [axis for axis in group if chunk[axis] < shape[axis]]
            if not growing or 2 * math.prod(chunk) * dtype.itemsize > CHUNK:
                break
            # the shortest first, of equal ones that which varies fastest
            axis = min(reversed(growing), key=lambda axis: chunk[axis])
            chunk[axis] = min(2 * chunk[axis], shape[axis])
    return tuple(chunk)


def automatic_shard(shape: tuple[int, ...], chunk: tuple[int, ...], scan: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shard, a square of chunks, of an array of more than :data:`FILES` chunks; of any other None."""
    shard = list(chunk)
    while math.prod(-(-n // s) for n, s in zip(shape, shard, strict=True)) > FILES:
        growing = [axis for axis in scan if shard[axis] < shape[axis]]
        if not growing:
            break
        shard[min(reversed(growing), key=lambda axis: shard[axis] // chunk[axis])] *= 2
    return tuple(shard) if tuple(shard) != chunk else None


def store_path(name: str) -> str:
    """Return where an array lies in the store: its name, without what a file system may not take."""
    parts = [re.sub(r"[^\w .()+=-]", "_", part).strip(" .") for part in name.split("/")]
    return "/".join(part or "_" for part in parts if part) or "data"


def clashing(paths: Iterable[str]) -> str | None:
    """Return a path that another of the arrays has, or lies in; None where all can lie side by side."""
    known = [path.lower() for path in paths]
    for index, path in enumerate(known):
        others = known[:index] + known[index + 1 :]
        if any(path == other or path.startswith(f"{other}/") for other in others):
            return path
    return None


def _lengths(option: str, text: str, variable: Variable) -> tuple[int, ...]:
    shape, parts = variable.array.shape, text.split(",")
    if len(parts) != len(shape):
        raise StepError(
            f"{option}: {text} does not fit {variable.name}",
            code=Code.STEP_PARAMETER,
            evidence=f"its dimensions are {', '.join(variable.dims)} = {', '.join(map(str, shape))}",
            hint=f"one length for each, as in --{option} {','.join(('16', '16', *['all'] * len(shape))[: len(shape)])}",
        )
    return tuple(max(1, n) if part == "all" else int(part) for part, n in zip(parts, shape, strict=True))


def _shard(text: str, chunk: tuple[int, ...], variable: Variable) -> tuple[int, ...]:
    shard = []
    along = zip(variable.dims, _lengths("shards", text, variable), chunk, variable.array.shape, strict=True)
    for dim, length, part, size in along:
        if length < size and length % part:
            raise StepError(
                f"shards: {text} cuts chunks",
                code=Code.STEP_PARAMETER,
                evidence=f"along {dim} a shard has {length}, a chunk {part}",
                hint=f"take a multiple of {part}, or all",
            )
        shard.append(-(-min(length, max(1, size)) // part) * part)
    return tuple(shard)
