"""Phantoms are drawn row by row of the scan, each row from a random stream of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emdvc.testing.counts import CountTable


class DrawnByRows(ABC):
    """Counts of a scan, a row at a time: memory holds one row, and a row does not depend on the others."""

    scan_shape: tuple[int, int]
    seed: int

    @property
    @abstractmethod
    def table(self) -> CountTable:
        """The table that turns rates into counts."""

    @abstractmethod
    def levels(self, y: int) -> NDArray[np.uint8]:
        """Return the level of the table for every count of one row of the scan."""

    def row(self, y: int) -> NDArray[np.uint16]:
        """Return the counts of one row of the scan: shape (x, ...), a frame for each probe position."""
        return self.table.draw(self.levels(y), np.random.PCG64([self.seed, y]))

    def rows(self) -> Iterator[NDArray[np.uint16]]:
        """Yield the scan row by row."""
        for y in range(self.scan_shape[0]):
            yield self.row(y)

    def expected(self, y: int) -> NDArray[np.float64]:
        """Return the true mean of every count of one row, in the shape of :meth:`row`."""
        return self.table.rates[self.levels(y)]
