"""An array in files of its own, one per chunk: what becomes a Zarr array by a change of names alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import FormatError
from emdvc.formats.contract import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Arrays of a result that are larger than this are stored in several chunks.
ONE_CHUNK = 64 << 20


class ChunkFiles:
    """An uncompressed array, each chunk of it in a file named by its flat key, filled up with zeros at the edges.

    It is a :class:`emdvc.formats.contract.LazyArray`.

    Parameters
    ----------
    folder
        Where the files lie.
    shape, dtype, chunks
        Of the array; files are little-endian.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], chunks: tuple[int, ...]) -> None:
        self.folder = folder
        self.shape, self.dtype, self.chunks = shape, dtype, chunks

    @property
    def size(self) -> int:
        """Number of samples."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def file(self, index: tuple[int, ...]) -> Path:
        """Return the file of a chunk."""
        return self.folder / ".".join(map(str, index))

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every chunk, in C order."""
        return itertools.product(*(range(-(-n // c)) for n, c in zip(self.shape, self.chunks, strict=True)))

    def region(self, index: tuple[int, ...]) -> Region:
        """Return what a chunk holds of the array."""
        return tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, self.chunks, self.shape, strict=True))

    def write(self, index: tuple[int, ...], values: NDArray[Any]) -> None:
        """Write one chunk."""
        import numpy as np

        if values.shape != self.chunks:
            values = np.pad(values, [(0, full - here) for full, here in zip(self.chunks, values.shape, strict=True)])
        self.file(index).write_bytes(np.ascontiguousarray(values, self.dtype.newbyteorder("<")).data)

    def chunk(self, index: tuple[int, ...]) -> NDArray[Any]:
        """Return one chunk, what was filled up left out.

        Raises
        ------
        FormatError
            Its file is not there, or not whole.
        """
        import numpy as np

        path = self.file(index)
        stored = self.dtype.newbyteorder("<")
        try:
            values = np.fromfile(path, stored)
        except OSError as error:
            raise FormatError(f"{path} cannot be read", evidence=str(error)) from error
        if values.size != math.prod(self.chunks):
            raise FormatError(f"{path} is truncated", evidence=f"it holds {values.size} of {math.prod(self.chunks)}")
        cut = tuple(slice(0, part.stop - part.start) for part in self.region(index))
        return values.reshape(self.chunks)[cut].astype(self.dtype, copy=False)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        import numpy as np

        values = np.empty(tuple(part.stop - part.start for part in region), self.dtype)
        touched = [range(part.start // c, -(-part.stop // c)) for part, c in zip(region, self.chunks, strict=True)]
        for index in itertools.product(*touched):
            held = self.region(index)
            both = [
                (max(want.start, have.start), min(want.stop, have.stop))
                for want, have in zip(region, held, strict=True)
            ]
            into = tuple(slice(a - want.start, b - want.start) for (a, b), want in zip(both, region, strict=True))
            out = tuple(slice(a - have.start, b - have.start) for (a, b), have in zip(both, held, strict=True))
            values[into] = self.chunk(index)[out]
        return values


def in_memory(values: NDArray[Any] | ChunkFiles) -> NDArray[Any]:
    """Return an array that may lie in files as one in memory."""
    import numpy as np

    if isinstance(values, ChunkFiles):
        return values.read(tuple(slice(0, n) for n in values.shape))
    return np.asarray(values)
