"""The frames that a computation reads: an array, the names of its dimensions, and how another process opens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emdvc.formats.contract import LazyArray


class ArraySource(Protocol):
    """A dataset that another process opens again, wherever its bytes are; it can be sent there."""

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""


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
    source: ArraySource | None = None
    name: str = ""

    @property
    def scan_axes(self) -> tuple[int, ...]:
        """Which of the axes are the scan's."""
        return tuple(index for index, dim in enumerate(self.dims) if dim not in self.core)
