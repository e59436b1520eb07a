"""The frames that a computation reads: an array, the names of its dimensions, and how another process opens it."""

from __future__ import annotations

from dataclasses import dataclass

from emdvc.formats.contract import LazyArray
from emdvc.formats.dataset import Source


@dataclass(frozen=True, slots=True)
class Frames:
    """An array of frames.

    Parameters
    ----------
    array, dims
        The array and the names of its dimensions.
    core
        Names of the dimensions of one frame, in the order that plans expect.
    source
        Where another process finds it; None for an array that is in this one alone.
    name
        Name of the array in `source`.
    """

    array: LazyArray
    dims: tuple[str, ...]
    core: tuple[str, ...]
    source: Source | None = None
    name: str = ""

    @property
    def scan_axes(self) -> tuple[int, ...]:
        """Which of the axes are the scan's."""
        return tuple(index for index, dim in enumerate(self.dims) if dim not in self.core)
