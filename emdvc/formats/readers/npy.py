"""NumPy's .npy, read by position."""

from __future__ import annotations

from pathlib import Path

from emdvc.errors import FormatError
from emdvc.formats.arrays import BinaryArray, Transposed
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.table import NativeReader, version_of

_MAGIC = b"\x93NUMPY"


class NpyReader(NativeReader):
    """Arrays that numpy.save wrote."""

    def claims(self, path: Path) -> bool:
        """Say whether the file starts as numpy's do."""
        try:
            with path.open("rb") as file:
                return file.read(6) == _MAGIC
        except OSError:
            return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the array; nothing in the file can run code, pickled objects are refused."""
        import numpy as np

        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            offset = file.tell()
        if dtype.kind not in "biufc":
            raise FormatError(f"{path} holds no numbers", evidence=f"its number type is {dtype}")
        stored = BinaryArray(path, shape[::-1] if fortran else shape, dtype, offset)
        array: LazyArray = Transposed(stored, range(len(shape))[::-1]) if fortran else stored
        found = Found(path.stem, array, tuple(FileAxis(n) for n in shape))
        return assemble(
            [found], options=ReadOptions(), reader=f"npy@{version_of('numpy')}", where=str(path), close=stored.close
        )


READER = NpyReader("npy")
