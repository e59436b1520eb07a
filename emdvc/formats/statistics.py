"""What a sidecar says of an array's values: sum, range, mean and quantiles, the same figures on every machine."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

from emdvc.formats.chunk_files import ChunkFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Quantiles that a sidecar's statistics hold.
QUANTILES = (0.01, 0.5, 0.99)


def statistics(values: NDArray[Any] | ChunkFiles) -> dict[str, float | int]:
    """Return sum, min, max, mean and quantiles of an array; whole numbers stay whole.

    Floats are summed in one order, up to four million of them by :func:`math.fsum`, so that the figure is the same on
    every machine. Of an array in files there
    are no quantiles: it is read once, chunk by chunk.
    """
    import numpy as np

    if isinstance(values, ChunkFiles):
        return _statistics_of_chunks(values)
    flat = values.ravel()
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    if flat.size == 0:
        return {"count": 0}
    number = int if flat.dtype.kind in "iub" else float
    total = _sum(flat)
    found: dict[str, float | int] = {
        "count": int(flat.size),
        "sum": total,
        "min": number(flat.min()),
        "max": number(flat.max()),
        "mean": total / int(flat.size),
    }
    # the nearest sample, not an interpolation between two: exact, and whole where the data are
    ranks = {quantile: min(int(quantile * flat.size), flat.size - 1) for quantile in QUANTILES}
    ordered = np.partition(flat, sorted(set(ranks.values())))
    found.update({f"q{round(quantile * 100):02d}": number(ordered[rank]) for quantile, rank in ranks.items()})
    return found


def _statistics_of_chunks(values: ChunkFiles) -> dict[str, float | int]:
    parts = [statistics(values.chunk(index)) for index in values.indices()]
    parts = [part for part in parts if part["count"]]
    if not parts:
        return {"count": 0}
    count = int(sum(part["count"] for part in parts))
    sums = [part["sum"] for part in parts]
    total = math.fsum(sums) if values.dtype.kind == "f" else sum(sums)
    low, high = min(part["min"] for part in parts), max(part["max"] for part in parts)
    return {"count": count, "sum": total, "min": low, "max": high, "mean": total / count}


#: Samples whose sum is rounded only once; of more, neighbours are added first, in an order of their own.
_MANY = 1 << 22


def _by_halves(flat: NDArray[Any]) -> NDArray[Any]:
    """Return a few numbers with the sum of many: only additions of whole arrays, the same on every machine."""
    import numpy as np

    flat = flat.astype(np.float64)
    while flat.size > 1024:
        half = flat.size // 2
        flat = np.concatenate((flat[:half] + flat[half : 2 * half], flat[2 * half :]))
    return flat


def _sum(flat: NDArray[Any]) -> int | float:
    pieces = (flat[start : start + (1 << 20)] for start in range(0, flat.size, 1 << 20))
    if flat.dtype.kind == "f":
        if flat.size > _MANY:
            pieces = (_by_halves(piece) for piece in pieces)
        return math.fsum(chain.from_iterable(piece.tolist() for piece in pieces))
    if flat.dtype.itemsize < 8:
        return sum(int(piece.sum(dtype="i8")) for piece in pieces)
    # 64-bit numbers in two halves: neither half's sum over a piece can overflow
    return sum(
        (int((piece >> 32).sum(dtype="i8")) << 32) + int((piece & 0xFFFFFFFF).sum(dtype="i8")) for piece in pieces
    )
