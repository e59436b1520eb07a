"""HyperSpy's own files: .hspy (HDF5) and .zspy (the same layout in a Zarr store), read without HyperSpy.

``Experiments/<title>/`` holds ``data``, one group ``axis-N`` per axis (slowest first), ``metadata`` and
``original_metadata``. Names of attributes tell the type: ``_list_``, ``_tuple_``, ``_bs_``, ``_datetime_``; the text
``_None_`` is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from emdvc.errors import FormatError
from emdvc.formats.arrays import Hdf5Array, ZarrArray
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.hdf5_tree import READ_LIMIT, text
from emdvc.formats.readers.table import NativeReader, version_of

_PREFIXES = ("_list_empty_", "_tuple_empty_", "_list_", "_tuple_", "_bs_", "_datetime_", "_sig_")


class HspyReader(NativeReader):
    """HyperSpy's layout in HDF5 and in Zarr."""

    def claims(self, path: Path) -> bool:
        """Say whether the file or store has HyperSpy's ``Experiments`` group."""
        if path.is_dir():
            return (path / "Experiments").is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup"))
        try:
            import h5py

            if not h5py.is_hdf5(path):
                return False
            with h5py.File(path, "r") as file:
                return "Experiments" in file and "file_format" in file.attrs
        except (ImportError, OSError, RuntimeError):
            return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open all signals of a file that share their axes, or the one that is named.

        Raises
        ------
        FormatError
            A signal lacks its data or its axes.
        """
        from emdvc.formats.hyperspy_tree import to_record

        root, make, close = _root(path, options)
        try:
            if "Experiments" not in root:
                raise FormatError(f"{path} has not HyperSpy's layout", evidence="it has no group 'Experiments'")
            experiments = dict(_members(root["Experiments"]))
            found = {name: _signal(name, group, make, path) for name, group in experiments.items()}
            main = options.signal if options.signal in found else next(iter(_largest(found)), None)
            metadata = tree(experiments[main]["metadata"]) if main and "metadata" in experiments[main] else {}
            original = {}
            if main and "original_metadata" in experiments[main]:
                original = tree(experiments[main]["original_metadata"])
            return assemble(
                list(found.values()),
                options=options,
                reader=f"hspy@{'zarr' if path.is_dir() else 'h5py'}-{version_of('zarr' if path.is_dir() else 'h5py')}",
                where=str(path),
                record=to_record(metadata, original),
                vendor={"metadata": metadata, "original_metadata": original},
                close=close,
            )
        except BaseException:
            close()
            raise


def tree(group: Any) -> dict[str, Any]:
    """Return a group of HyperSpy's metadata as plain values, its prefixes taken off."""
    found: dict[str, Any] = {}
    for name in group.attrs:
        found[_bare(str(name))] = _attribute(str(name), group.attrs[name])
    for name, node in _members(group):
        found[_bare(name)] = tree(node) if _is_group(node) else _dataset(node)
    return found


def _root(path: Path, options: ReadOptions) -> tuple[Any, Callable[[Any], LazyArray], Callable[[], None]]:
    if path.is_dir():
        from emdvc.formats.readers.zarr import check_complete, open_node

        check_complete(path)
        return open_node(path, source=options.store), ZarrArray, lambda: None
    from emdvc.formats.readers.hdf5_tree import open_hdf5

    file = open_hdf5(path)
    return file, Hdf5Array, file.close


def _signal(name: str, group: Any, make: Callable[[Any], LazyArray], path: Path) -> Found:
    if "data" not in group:
        held = ", ".join(group) or "nothing"
        raise FormatError(f"{path}: the signal '{name}' has no data", evidence=f"it holds {held}")
    data = group["data"]
    if data.dtype.kind not in "biufc":
        raise FormatError(f"{path}: the signal '{name}' is ragged or no numbers", evidence=f"its type is {data.dtype}")
    axes = [_axis(group, i, size, name, path) for i, size in enumerate(data.shape)]
    metadata = tree(group["metadata"]) if "metadata" in group else {}
    signal = metadata.get("Signal") or {}
    quantity = str(signal.get("quantity") or "")
    unit = quantity.rpartition("(")[2].rstrip(") ") if "(" in quantity else ""
    return Found(name, make(data), tuple(axes), unit, str(signal.get("signal_type") or ""))


def _axis(group: Any, index: int, size: int, name: str, path: Path) -> FileAxis:
    held = group.get(f"axis-{index}")
    if held is None:
        held = group.get(f"_axis-{index}")
    if held is None:
        raise FormatError(f"{path}: the signal '{name}' lacks axis {index}", evidence=f"there is no group axis-{index}")
    known = {_bare(str(key)): _attribute(str(key), held.attrs[key]) for key in held.attrs}
    unit = str(known.get("units") or "")
    label = str(known.get("name") or "")
    values = held.get("axis")
    navigate = bool(known.get("navigate"))
    if values is not None and values.shape == (size,):
        numbers = tuple(float(v) for v in values[()])
        return FileAxis(size, label, unit=unit, navigate=navigate, values=numbers)
    scale = known.get("scale")
    return FileAxis(
        size,
        label,
        float(scale) if scale is not None else None,
        float(known.get("offset") or 0.0),
        "" if unit in ("<undefined>", "None") else unit,
        navigate,
    )


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    for name in sorted(group.keys()):
        yield str(name), group[name]


def _is_group(node: Any) -> bool:
    return not hasattr(node, "dtype")


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _attribute(name: str, value: Any) -> Any:
    if name.startswith("_list_empty_") or name.startswith("_tuple_empty_"):
        return []
    if isinstance(value, bytes) or (getattr(value, "dtype", None) is not None and value.dtype.kind in "SO"):
        value = text(value)
    if isinstance(value, str):
        return None if value in ("_None_", "<undefined>", "t.Undefined") else value
    return value.item() if getattr(value, "shape", None) == () else value


def _dataset(node: Any) -> Any:
    size = node.size * node.dtype.itemsize
    if size > READ_LIMIT:
        return {"shape": list(node.shape), "dtype": node.dtype.name}
    value = node[()]
    if node.dtype.kind in "SO" and not node.shape:
        return text(value)
    return value


def _largest(found: dict[str, Found]) -> list[str]:
    import math

    return sorted(found, key=lambda name: -math.prod(found[name].array.shape))


READER = HspyReader("hspy")
