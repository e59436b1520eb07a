"""Any HDF5 by path: ``file.h5::/entry/data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emdvc.errors import Code, FormatError, suggest
from emdvc.formats.arrays import Hdf5Array
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis, even
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.emd1 import emd_found, is_emd
from emdvc.formats.readers.hdf5_tree import datasets, open_hdf5, text, tree
from emdvc.formats.readers.table import NativeReader, version_of

#: A dataset with more numbers is data, not metadata.
_METADATA = 4096


class Hdf5Reader(NativeReader):
    """HDF5 through h5py, where the person says which dataset is meant."""

    def claims(self, path: Path) -> bool:
        """Claim nothing by content: this is the reader for what no other one knows."""
        return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the dataset that ``options.inner`` names.

        Axes are taken from an EMD group around it, from NeXus ``axes`` or from HDF5 dimension scales.

        Raises
        ------
        FormatError
            No path was given, or it names no dataset of numbers: the datasets of the file are listed.
        """
        file = open_hdf5(path)
        try:
            dataset = _dataset(file, path, options)
            parent = dataset.parent
            if dataset.name.endswith("/data") and is_emd(parent):
                found = emd_found(parent)
            else:
                name = dataset.name.rsplit("/", 1)[-1]
                found = Found(name, Hdf5Array(dataset), _axes(dataset), text(dataset.attrs.get("units", "")))
            large = (one.name for one in datasets(file) if one.size > _METADATA)
            vendor = tree(file, skip=(dataset.name, *large))
            return assemble(
                [found],
                options=ReadOptions(),
                reader=f"hdf5@h5py-{version_of('h5py')}",
                where=f"{path}::{dataset.name}",
                vendor=vendor,
                close=file.close,
            )
        except BaseException:
            file.close()
            raise


def _dataset(file: Any, path: Path, options: ReadOptions) -> Any:
    """Return the dataset that the options name, or the only large one of the file."""
    import h5py

    wanted = options.inner or options.signal
    if wanted is None:
        held = list(datasets(file))
        large = [one for one in held if len(one.shape) >= 2]
        if len(large) == 1 and len(held) == 1:
            return large[0]
        raise FormatError(
            f"{path} holds {len(held)} datasets: say which one is meant"
            if held
            else f"{path} holds no dataset of numbers",
            code=Code.FORMAT_AMBIGUOUS if held else Code.FORMAT_BROKEN,
            evidence=_listed(held),
            hint=f"'{path.name}::{_largest(held).name}'" if held else None,
        )
    node = file.get(wanted)
    if isinstance(node, h5py.Group):
        signal = text(node.attrs.get("signal", "data"))
        node = node.get(signal) or node.get("data")
    if isinstance(node, h5py.Dataset) and node.shape and node.dtype.kind in "biufc":
        return node
    held = list(datasets(file))
    near = suggest("/" + wanted.strip("/"), [one.name for one in held])
    raise FormatError(
        f"there is no dataset of numbers at {wanted} in {path}",
        code=Code.NOT_FOUND,
        evidence=f"it holds {_listed(held)}" if held else "the file holds no dataset of numbers",
        hint=f"did you mean '{path.name}::{near}'?" if near else None,
    )


def _axes(dataset: Any) -> tuple[FileAxis, ...]:
    names = _nexus_axes(dataset)
    found = []
    for i, size in enumerate(dataset.shape):
        scale = dataset.parent.get(names[i]) if i < len(names) else None
        if scale is None and len(dataset.dims[i]):
            scale = dataset.dims[i][0]
        name = names[i] if i < len(names) else (dataset.dims[i].label or "")
        if scale is None or scale.shape != (size,) or scale.dtype.kind not in "iuf":
            found.append(FileAxis(size, "" if name == "." else name))
        else:
            unit = text(scale.attrs.get("units", ""))
            found.append(even([float(v) for v in scale[()]], unit, name=name or scale.name.rsplit("/", 1)[-1]))
    return tuple(found)


def _nexus_axes(dataset: Any) -> list[str]:
    import numpy as np

    axes = dataset.parent.attrs.get("axes")
    if axes is None or text(dataset.parent.attrs.get("signal", "")) != dataset.name.rsplit("/", 1)[-1]:
        return []
    names = [text(name) for name in np.atleast_1d(np.asarray(axes, dtype=object))]
    return names[0].strip("[]").split(":") if len(names) == 1 and ":" in names[0] else names


def _largest(held: list[Any]) -> Any:
    return max(held, key=lambda one: one.size)


def _listed(held: list[Any], limit: int = 8) -> str:
    shown = sorted(held, key=lambda one: -one.size)[:limit]
    more = f"; and {len(held) - limit} more" if len(held) > limit else ""
    return "; ".join(f"{one.name} {one.shape} {one.dtype.name}" for one in shown) + more


READER = Hdf5Reader("hdf5")
