"""The sum of all frames of an array, gathered block by block: what a person recognises a scan by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.formats.contract import Region
from emdvc.kernels.frames import sum_and_max


class FrameSums:
    """Sums over the dimensions that are no frame's; of an array without frames, over all but the last two.

    Exact where the numbers are integers. Floats are added in the order of the calls.

    Parameters
    ----------
    dims, shape
        Of the array.
    scan
        Which of its dimensions are no frame's.
    """

    def __init__(self, dims: tuple[str, ...], shape: tuple[int, ...], scan: tuple[int, ...]) -> None:
        every = tuple(range(len(shape)))
        self._summed = scan if scan and len(scan) < len(shape) else every[:-2]
        self._kept = tuple(axis for axis in every if axis not in self._summed)
        self.dims = tuple(dims[axis] for axis in self._kept)
        self._shape = tuple(shape[axis] for axis in self._kept)
        # pieces of a frame by where they lie: a block that holds part of each frame costs only that part
        self._parts: dict[tuple[tuple[int, int], ...], NDArray[Any]] = {}

    def add(self, region: Region, values: NDArray[Any]) -> None:
        """Add the numbers of a region."""
        key = tuple((region[axis].start, region[axis].stop) for axis in self._kept)
        shape = tuple(stop - start for start, stop in key)
        moved = np.ascontiguousarray(values.transpose(*self._summed, *self._kept))
        frames = _countable(moved).reshape(-1, int(np.prod(shape, dtype=np.int64)))
        self._put(key, sum_and_max(frames)[0].reshape(shape))

    def merge(self, other: FrameSums) -> None:
        """Add what another has gathered of the same array."""
        for key, part in other._parts.items():
            self._put(key, part)

    def total(self) -> NDArray[Any]:
        """Return the sum."""
        kinds = [part.dtype for part in self._parts.values()]
        total = np.zeros(self._shape, kinds[0] if kinds else np.uint64)
        for key, part in self._parts.items():
            total[tuple(slice(start, stop) for start, stop in key)] += part
        return total

    def _put(self, key: tuple[tuple[int, int], ...], part: NDArray[Any]) -> None:
        if key in self._parts:
            self._parts[key] += part
        else:
            self._parts[key] = part


def _countable(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    if values.dtype.kind == "c":
        size: NDArray[Any] = np.hypot(values.real, values.imag)
        return size
    return values.astype(np.float32) if values.dtype == np.float16 else values
