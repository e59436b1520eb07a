"""Where the numbers of an array lie in its files, so that it is read again without the reader that found them.

A placement is a list of plain mappings: first the numbers themselves, then one view after the other.

===========================================  ===================================================================
``{file, offset, dtype, shape, strides}``    numbers at even distances; ``strides`` only where they are not packed
``{file, dataset}``                          a dataset of an HDF5 file, whose chunks HDF5 finds and decodes
``{file, series}``                           a series of compressed pages, which tifffile finds and decodes
``{join: [placement, ...]}``                 arrays one after the other along the first axis
``{scan: [ny, nx], lead}``                   the leading one or two axes are probe positions
``{flip: axes}``, ``{transpose: order}``     mirrored; axes in another order
``{squeeze: axes}``                          without axes of length 1
===========================================  ===================================================================

What has no placement is decoded by its reader as a whole, or the reader does not tell: such a file is fetched whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from emdvc.errors import Code, FormatError
from emdvc.formats import views
from emdvc.formats.byte_source import ByteSource, LocalFile, Stream
from emdvc.formats.contract import LazyArray, Opened, Region
from emdvc.formats.strides import Placement

#: Opens a file of the dataset by its name.
OpenBytes = Callable[[str], ByteSource]


def placements(opened: Opened, names: Mapping[Path, str]) -> dict[str, Placement]:
    """Return the placement of each array of an open dataset that has one and was found to be right.

    Samples of each array are read both ways; where they differ the array has no placement.

    Parameters
    ----------
    opened
        The dataset, open on this machine.
    names
        Name in the dataset of each of its files.
    """
    found = {}
    by_path = {str(path.resolve()): name for path, name in names.items()}
    paths = {name: path for path, name in names.items()}
    for variable in opened.variables:
        below = getattr(variable.array, "placement", None)
        said = _renamed(below(), by_path) if below is not None else None
        if said is not None and _agrees(variable.array, said, paths):
            found[variable.name] = said
    return found


def _renamed(placement: Placement | None, names: Mapping[str, str]) -> Placement | None:
    """Return a placement with the files' names in the dataset; None where one of them does not belong to it."""
    if not placement:
        return None
    renamed: Placement = []
    for step in placement:
        if "file" in step:
            name = names.get(str(Path(step["file"]).resolve()))
            if name is None:
                return None
            renamed.append(step | {"file": name})
        elif "join" in step:
            parts = [_renamed(part, names) for part in step["join"]]
            if any(part is None for part in parts):
                return None
            renamed.append({"join": parts})
        else:
            renamed.append(step)
    return renamed


def _agrees(array: LazyArray, placement: Placement, paths: Mapping[str, Path]) -> bool:
    import numpy as np

    opened = Placed(placement, lambda name: LocalFile(paths[name]))
    try:
        other = opened.array
        if other.shape != array.shape or other.dtype != array.dtype:
            return False
        for region in samples(array.shape):
            one, two = array.read(region), other.read(region)
            if np.ascontiguousarray(one).tobytes() != np.ascontiguousarray(two).tobytes():
                return False
        return True
    except (OSError, ValueError, FormatError):
        return False
    finally:
        opened.close()


def samples(shape: tuple[int, ...]) -> list[Region]:
    """Return the regions that are compared: single numbers all over an array, and one line in its middle."""
    if 0 in shape or not shape:
        return []
    count = prod(shape)
    # an odd step meets every place along every axis, and both ends are among them
    flat = sorted({(count - 1) * i // 12 for i in range(13)} | {count * 5 // 7, count * 3 // 11})
    regions = []
    for number in flat:
        index, rest = [], number
        for size in reversed(shape):
            rest, i = divmod(rest, size)
            index.append(slice(i, i + 1))
        regions.append(tuple(reversed(index)))
    middle = [slice(size // 2, size // 2 + 1) for size in shape]
    middle[-1] = slice(0, min(shape[-1], 1 << 16))
    return [*regions, tuple(middle)]


class Placed:
    """An array that is read by its placement.

    Parameters
    ----------
    placement
        Where its numbers lie.
    open_bytes
        Opens a file of the dataset by its name; what it returns is closed with the array.

    Raises
    ------
    FormatError
        This emdvc does not understand the placement, or the file is shorter than it says.
    """

    def __init__(self, placement: Placement, open_bytes: OpenBytes) -> None:
        self._open_bytes = open_bytes
        self._closes: list[Callable[[], None]] = []
        try:
            self.array = self._built(placement)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the files."""
        while self._closes:
            self._closes.pop()()

    def _built(self, placement: Placement) -> LazyArray:
        array = self._source(placement[0])
        for step in placement[1:]:
            array = _view(array, step)
        return array

    def _source(self, step: Mapping[str, Any]) -> LazyArray:
        if "join" in step:
            return views.Joined([self._built(part) for part in step["join"]])
        if "file" not in step:
            raise _not_understood(step)
        source = self._open_bytes(str(step["file"]))
        self._closes.append(source.close)
        if "offset" in step:
            return _numbers(source, step)
        if "dataset" in step:
            return self._dataset(source, str(step["dataset"]))
        if "series" in step:
            return self._series(source, int(step["series"]))
        raise _not_understood(step)

    def _dataset(self, source: ByteSource, name: str) -> LazyArray:
        from emdvc.formats.arrays import Hdf5Array
        from emdvc.formats.readers.hdf5_tree import open_hdf5

        file = open_hdf5(Stream(source))
        self._closes.append(file.close)
        return Hdf5Array(file[name], source)

    def _series(self, source: ByteSource, number: int) -> LazyArray:
        import tifffile

        from emdvc.formats.readers.tiff import PagedArray

        file = tifffile.TiffFile(Stream(source))  # type: ignore[arg-type]
        self._closes.append(file.close)
        return PagedArray(file.series[number])


def _numbers(source: ByteSource, step: Mapping[str, Any]) -> LazyArray:
    import numpy as np

    from emdvc.formats.binary_array import BinaryArray

    strides = step.get("strides")
    return BinaryArray(
        source,
        tuple(int(n) for n in step["shape"]),
        np.dtype(str(step["dtype"])),
        int(step["offset"]),
        strides=tuple(int(n) for n in strides) if strides else None,
    )


def _view(array: LazyArray, step: Mapping[str, Any]) -> LazyArray:
    match step:
        case {"scan": [ny, nx], "lead": lead}:
            return views.Reshaped(array, (int(ny), int(nx)), int(lead))
        case {"flip": axes}:
            return views.Flipped(array, axes)
        case {"transpose": order}:
            return views.Transposed(array, order)
        case {"squeeze": axes}:
            return views.Squeezed(array, axes)
    raise _not_understood(step)


def _not_understood(step: Mapping[str, Any]) -> FormatError:
    return FormatError(
        "what is recorded of the place of the numbers is of a kind that this emdvc does not know",
        code=Code.FORMAT_UNKNOWN,
        evidence=", ".join(map(str, step)),
        hint="pip install --upgrade emdvc",
    )
