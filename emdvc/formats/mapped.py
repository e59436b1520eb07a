"""Where the numbers of a dask array lie that a foreign reader made of a mapped file: the blocks themselves tell."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

from emdvc.formats.strides import Placement, strided

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def placement_of(array: Any) -> Placement | None:
    """Return where the numbers of a dask array lie; None where its blocks are not evenly spaced views on one file.

    A block of a mapped file is a view: its address, less that of the mapping, is a place in the file. Nothing is read,
    and nothing needs to be known of the reader. Some blocks are asked, not all: a caller compares samples, too.

    Parameters
    ----------
    array
        The dask array.
    """
    last = tuple(n - 1 for n in array.numblocks)
    first = _block(array, (0,) * len(last))
    if first is None:
        return None
    file, offset, block = first
    strides = list(block.strides)
    for axis, count in enumerate(array.numblocks):
        if count == 1:
            continue
        next_one = _block(array, tuple(int(other == axis) for other in range(len(last))))
        if next_one is None:
            return None
        stride, rest = divmod(next_one[1] - offset, array.chunks[axis][0])
        if rest or (array.chunks[axis][0] > 1 and stride != strides[axis]):
            return None
        strides[axis] = stride
    starts = [sum(chunks[:-1]) for chunks in array.chunks]
    end = _block(array, last)
    expected = offset + sum(start * stride for start, stride in zip(starts, strides, strict=True))
    if end is None or end[:2] != (file, expected) or block.dtype.kind not in "biufc":
        return None
    return strided(file, block.dtype, offset, array.shape, strides)


def _block(array: Any, index: tuple[int, ...]) -> tuple[str, int, NDArray[Any]] | None:
    """Return the file of a block, the place of its first number, and the block; None where it is no view on a file."""
    import numpy as np
    from dask.local import get_sync

    # not `compute`, which copies a block that is a small part of what it views
    block = get_sync(array.__dask_graph__(), (array.name, *index))  # type: ignore[no-untyped-call,unused-ignore]
    if not isinstance(block, np.ndarray) or not block.size:
        return None
    mapping = _mapping(block)
    if mapping is None or mapping.filename is None:
        return None
    return os.fspath(mapping.filename), int(mapping.offset) + _address(block) - _address(mapping), block


def _mapping(view: Any) -> np.memmap[Any, Any] | None:
    """Return the mapped array that lies below all views."""
    import numpy as np

    while view is not None:
        below = getattr(view, "base", None)
        if isinstance(below, mmap.mmap):
            return view if isinstance(view, np.memmap) else None
        view = below
    return None


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
