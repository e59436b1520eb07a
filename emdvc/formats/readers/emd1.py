"""EMD 1.0 (NCEM, py4DSTEM, fpd): groups with ``emd_group_type``, data in ``data``, axes in ``dim1`` ... ``dimN``.

Berkeley's EMD specification 1.0 numbers the dimensions from 1, slowest first, each a vector of coordinates with the
attributes ``name`` and ``units``; py4DSTEM (since 0.13) from 0. Some writers give the first two coordinates only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from emdvc.formats.arrays import Hdf5Array, Squeezed
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis, even
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.hdf5_tree import open_hdf5, text, tree
from emdvc.formats.readers.table import NativeReader, version_of
from emdvc.model.record import Record

_DIM = re.compile(r"^dim(\d+)$")
#: py4DSTEM calls the slow axes x: only the letter before it says what an axis is, its place says which.
_PY4DSTEM = re.compile(r"^([RQ])_?[xy]$")


class Emd1Reader(NativeReader):
    """EMD 1.0 through h5py."""

    def claims(self, path: Path) -> bool:
        """Say whether the file is HDF5 and holds an EMD group with an array."""
        try:
            import h5py

            if not path.is_file() or not h5py.is_hdf5(path):
                return False
            with h5py.File(path, "r") as file:
                # Velox writes `/Data` and no group types; py4DSTEM marks the root of its tree
                return any(True for _ in emd_groups(file))
        except (ImportError, OSError, RuntimeError, KeyError):
            return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open all EMD groups of a file, or the one that `options` names by ``inner`` or ``signal``."""
        file = open_hdf5(path)
        try:
            groups = list(emd_groups(file))
            if options.inner is not None:
                inner = "/" + options.inner.strip("/")
                groups = [group for group in groups if inner in (group.name, f"{group.name}/data")]
            found = [emd_found(group) for group in groups]
            record: Record = {}
            return assemble(
                found,
                options=options,
                reader=f"emd1@h5py-{version_of('h5py')}",
                where=str(path),
                record=record,
                vendor=tree(file, skip=tuple(f"{group.name}/data" for group in groups)),
                close=file.close,
            )
        except BaseException:
            file.close()
            raise


def emd_groups(group: Any) -> Any:
    """Yield every EMD group with an array of numbers below a group."""
    import h5py

    for name in sorted(group):
        node = group.get(name)
        if not isinstance(node, h5py.Group):
            continue
        if is_emd(node):
            yield node
        yield from emd_groups(node)


def is_emd(group: Any) -> bool:
    """Say whether a group is an EMD group that holds an array with its axes."""
    import h5py

    if text(group.attrs.get("emd_group_type")) not in ("1", "array"):
        return False
    data = group.get("data")
    return isinstance(data, h5py.Dataset) and bool(data.shape) and data.dtype.kind in "biufc"


def emd_found(group: Any) -> Found:
    """Return the array of an EMD group with its axes; axes of length 1 that are no scan or detector are left out."""
    data = group["data"]
    numbers = sorted(int(match[1]) for name in group if (match := _DIM.match(name)))
    first = numbers[0] if numbers else 1
    axes = [_axis(group.get(f"dim{first + i}"), size) for i, size in enumerate(data.shape)]
    array: LazyArray = Hdf5Array(data)
    spare = [i for i, axis in enumerate(axes) if axis.size == 1 and axis.name and axis.meant is None]
    if spare and len(spare) < len(axes):
        array = Squeezed(array, spare)
        axes = [axis for i, axis in enumerate(axes) if i not in spare]
    unit = text(data.attrs.get("units", group.attrs.get("units", "")))
    name = group.name.strip("/")
    short = name.rsplit("/", 1)[-1]
    return Found(name if short == "data" else short, array, tuple(axes), unit, text(group.attrs.get("signal_type", "")))


def _axis(vector: Any, size: int) -> FileAxis:
    if vector is None:
        return FileAxis(size)
    name = text(vector.attrs.get("name", ""))
    unit = spelt(text(vector.attrs.get("units", "")))
    navigate = None
    if match := _PY4DSTEM.match(name):
        name, navigate = "", match[1] == "R"
    if vector.dtype.kind not in "iuf" or vector.size not in (2, size):
        return FileAxis(size, name, unit=unit, navigate=navigate)
    values = [float(v) for v in vector[()].ravel()]
    if len(values) != size:
        return FileAxis(size, name, values[1] - values[0], values[0], unit, navigate)
    return even(values, unit, name=name, navigate=navigate)


def spelt(unit: str) -> str:
    """Return an EMD unit as others spell it: ``[n_m^-1]`` is ``nm^-1``."""
    plain = unit.strip().removeprefix("[").removesuffix("]").replace("_", "")
    return "" if plain.lower() in ("pixels", "pixel", "px", "none", "val", "unknown") else plain


READER = Emd1Reader("emd1")
