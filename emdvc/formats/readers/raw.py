"""Headerless numbers: the person says shape, number type and offset."""

from __future__ import annotations

import math
from pathlib import Path

from emdvc.errors import Code, FormatError
from emdvc.formats.arrays import BinaryArray
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.table import NativeReader


class RawReader(NativeReader):
    """A plain file of numbers, C order."""

    def claims(self, path: Path) -> bool:
        """Claim nothing: a headerless file cannot be recognised."""
        return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the array that the options describe; it must fill the file after the offset exactly.

        Raises
        ------
        FormatError
            Shape or number type was not given, is impossible, or does not fit the file's size.
        """
        import numpy as np

        size = path.stat().st_size
        if options.shape is None or options.dtype is None:
            lacking = " and ".join(name for name in ("shape", "dtype") if getattr(options, name) is None)
            raise FormatError(
                f"{path} has no header that emdvc knows: it needs {lacking}",
                code=Code.FORMAT_UNKNOWN,
                evidence=f"the file has {size} bytes",
                hint="--shape 256x256x128x128 --dtype '<u2' --offset 0 (bytes before the first number)",
            )
        try:
            dtype = np.dtype(options.dtype)
        except TypeError as error:
            hint = "--dtype '<u2', '>i4', '<f4', 'u1'"
            raise FormatError(f"'{options.dtype}' is no number type", hint=hint) from error
        if dtype.kind not in "biufc" or options.offset < 0 or min(options.shape, default=0) < 1:
            raise FormatError(
                "this shape, dtype or offset is impossible",
                evidence=f"shape {options.shape}, dtype {options.dtype}, offset {options.offset}",
                hint="--shape 256x256x128x128 --dtype '<u2' --offset 0",
            )
        wanted = options.offset + math.prod(options.shape) * dtype.itemsize
        if wanted != size:
            raise FormatError(
                f"{path} is {'truncated' if size < wanted else 'longer than said'}",
                evidence=f"shape {'x'.join(map(str, options.shape))} of {dtype.str} after {options.offset} bytes is "
                f"{wanted} bytes; the file has {size}",
                hint="correct --shape, --dtype or --offset",
            )
        array = BinaryArray(path, options.shape, dtype, options.offset)
        found = Found(path.stem, array, tuple(FileAxis(n) for n in options.shape))
        return assemble([found], options=ReadOptions(), reader="raw@1", where=str(path), close=array.close)


READER = RawReader("raw")
