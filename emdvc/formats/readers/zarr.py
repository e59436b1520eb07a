"""Zarr 2 and 3: a group of arrays, or a single array, in a directory.

Dimensions come from ``dimension_names`` (Zarr 3) or ``_ARRAY_DIMENSIONS`` (xarray's attribute in Zarr 2); an array with
one dimension of its own name holds that dimension's coordinates, its ``units`` attribute their unit. An array without
named dimensions is understood by the number of its axes (:mod:`emdvc.formats.dimensions`). A root attribute
``emdvc: {record: {...}}`` is the acquisition record.

A chunk that is not there reads as the fill value: that is legal Zarr, and also what a lost file looks like. So a read
does not fail; :func:`missing_chunks` lists such chunks for who must know (``add``, ``verify``). Metadata that speak of
an array whose own are gone, or chunks without metadata, are an error: no variable is ever left out silently.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emdvc.errors import EmdvcError, FormatError
from emdvc.formats.arrays import ZarrArray
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis, even
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.table import NativeReader, version_of
from emdvc.formats.store_source import StoreSource
from emdvc.model.record import Record

_METADATA = ("zarr.json", ".zarray", ".zgroup")
#: Attribute by which arrays of Zarr 2 name their dimensions.
_DIMENSIONS = "_ARRAY_DIMENSIONS"


class ZarrReader(NativeReader):
    """Zarr stores on disk through zarr-python."""

    def claims(self, path: Path) -> bool:
        """Say whether the path is a directory with Zarr metadata, not laid out by HyperSpy."""
        return is_zarr(path) and not (path / "Experiments").is_dir()

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the arrays of a store, or of the group or the array that ``options.inner`` names.

        Raises
        ------
        FormatError
            Metadata are damaged, or speak of what is not there.
        """
        check_complete(path)
        node = open_node(path, options.inner, options.store)
        found, coordinates, vendor = [], {}, {}
        for name, array in arrays(node):
            # how Zarr 2 names dimensions is no metadata of the vendor's
            vendor[name or path.stem] = {key: value for key, value in array.attrs.items() if key != _DIMENSIONS}
            dims = dimension_names(array)
            if len(dims) == 1 and dims[0] == name.rsplit("/", 1)[-1]:
                coordinates[name] = array
            else:
                found.append((name or path.stem, array, dims))
        named = [_found(name, array, dims, coordinates) for name, array, dims in found]
        root = dict(node.attrs)
        own = root.pop("emdvc", None)
        return assemble(
            named,
            options=options,
            reader=f"zarr@{version_of('zarr')}",
            where=str(path),
            record=_record(own, path),
            vendor={"attributes": root, "arrays": vendor} if root or any(vendor.values()) else {},
        )


def is_zarr(path: Path) -> bool:
    """Say whether a path is a directory with Zarr metadata."""
    return any((path / name).is_file() for name in _METADATA)


def open_node(path: Path, inner: str | None = None, source: StoreSource | None = None) -> Any:
    """Return the group or the array of a store, opened for reading.

    Parameters
    ----------
    path
        Folder of the store.
    inner
        Path in the store.
    source
        Where the store's files come from, when only its metadata lie in the folder.

    Raises
    ------
    FormatError
        There is none at `inner`, or its metadata cannot be read.
    """
    import zarr

    where = (inner or "").strip("/")
    try:
        # consolidated metadata can be older than the arrays: what lies in the store itself counts
        store = zarr.storage.LocalStore(path, read_only=True) if source is None else source.zarr_store()
        return zarr.open(store, path=where, mode="r", use_consolidated=False)
    except EmdvcError:
        raise
    except Exception as error:  # zarr raises from KeyError to its own, whatever is wrong with the JSON
        raise FormatError(
            f"{path}{'::' + inner if inner else ''} cannot be read as Zarr",
            evidence=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            hint="its metadata (zarr.json, or .zgroup and .zarray) are missing or damaged",
        ) from error


def arrays(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every array of numbers below a node with its path; a node that is an array itself has the path ``""``."""
    import zarr

    if isinstance(node, zarr.Array):
        if getattr(node.dtype, "kind", "O") in "biufc":
            yield prefix.rstrip("/"), node
        return
    for name, child in sorted(node.members()):
        yield from arrays(child, f"{prefix}{name}/")


def dimension_names(array: Any) -> tuple[str | None, ...]:
    """Return the names of an array's dimensions, None where it says nothing."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get(_DIMENSIONS)
    if not names or len(names) != array.ndim:
        return tuple(None for _ in array.shape)
    return tuple(str(name) if name is not None else None for name in names)


def check_complete(path: Path) -> None:
    """Check that every array that the metadata speak of has its own metadata, and that no chunks lie without any.

    Raises
    ------
    FormatError
        Something is missing; the first is named.
    """
    for kind in _consolidated(path):
        if not any((path / kind / name).is_file() for name in _METADATA):
            raise _incomplete(path, f"the store's metadata list '{kind}', which has no metadata of its own")
    for folder in _groups(path):
        for child in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
            if not any((child / name).is_file() for name in _METADATA) and any(p.is_file() for p in child.rglob("*")):
                raise _incomplete(path, f"'{child.relative_to(path).as_posix()}' holds files but no metadata")


def missing_chunks(path: Path, inner: str | None = None) -> list[str]:
    """Return the chunk files (shards, where an array has them) that are not there, relative to the store.

    Legal where a scan was sparse; else each is lost data that reads as the fill value.
    """
    missing: list[str] = []
    node = open_node(path, inner)
    for name, array in arrays(node):
        where = "/".join(part for part in ((inner or "").strip("/"), name) if part)
        folder = path / where if where else path
        here = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        stored = array.shards or array.chunks
        counts = [math.ceil(n / c) for n, c in zip(array.shape, stored, strict=True)]
        for index in itertools.product(*(range(n) for n in counts)):
            key = array.metadata.encode_chunk_key(index)
            if key not in here:
                missing.append(f"{where}/{key}" if where else key)
    return missing


def _found(name: str, array: Any, dims: tuple[str | None, ...], coordinates: dict[str, Any]) -> Found:
    group = name.rsplit("/", 1)[0] + "/" if "/" in name else ""
    axes = tuple(
        _axis(dim, size, coordinates.get(f"{group}{dim}")) for dim, size in zip(dims, array.shape, strict=True)
    )
    known = tuple(dim for dim in dims if dim is not None)
    unit = array.attrs.get("units") or ""
    full = len(known) == array.ndim and len(set(known)) == len(known)
    # names that are ours are taken as they are; foreign ones (`qx`, `scan_y`) are translated
    ours = full and all(axis.meant in (None, dim) for axis, dim in zip(axes, known, strict=False))
    return Found(name, ZarrArray(array), axes, str(unit), dims=known if ours else None)


def _axis(dim: str | None, size: int, coordinate: Any) -> FileAxis:
    if coordinate is None or coordinate.shape != (size,) or coordinate.dtype.kind not in "iuf":
        return FileAxis(size, dim or "")
    unit = str(coordinate.attrs.get("units") or "")
    return even([float(v) for v in coordinate[:]], "" if unit == "px" else unit, name=dim or "")


def _record(own: Any, path: Path) -> Record:
    if own is None:
        return {}
    record = own.get("record") if isinstance(own, dict) else None
    if record is None:
        return {}
    if not isinstance(record, dict):
        raise FormatError(f"{path}: its attribute emdvc.record is no mapping", evidence=f"it is {record!r:.80}")
    return dict(record)


def _consolidated(path: Path) -> list[str]:
    """Return the paths of all nodes that consolidated metadata list."""
    import json

    try:
        if (path / "zarr.json").is_file():
            held = json.loads((path / "zarr.json").read_bytes()).get("consolidated_metadata") or {}
            return sorted(held.get("metadata") or {})
        if (path / ".zmetadata").is_file():
            held = json.loads((path / ".zmetadata").read_bytes())
            keys = (key.rpartition("/") for key in held.get("metadata") or {})
            return sorted({folder for folder, _, name in keys if name in (".zarray", ".zgroup") and folder})
    except (ValueError, AttributeError) as error:
        raise FormatError(f"{path}: its metadata are damaged", evidence=f"{type(error).__name__}: {error}") from error
    return []


def _groups(path: Path) -> Iterator[Path]:
    """Yield the directories of all groups of a store."""
    import json

    yielded = [path]
    while yielded:
        folder = yielded.pop()
        if (folder / ".zarray").is_file():
            continue
        if (folder / "zarr.json").is_file():
            try:
                if json.loads((folder / "zarr.json").read_bytes()).get("node_type") == "array":
                    continue
            except (ValueError, AttributeError) as error:
                raise FormatError(
                    f"{folder / 'zarr.json'} is damaged", evidence=f"{type(error).__name__}: {error}"
                ) from error
        elif not (folder / ".zgroup").is_file():
            continue
        yield folder
        yielded.extend(p for p in folder.iterdir() if p.is_dir())


def _incomplete(path: Path, evidence: str) -> FormatError:
    return FormatError(
        f"{path} is incomplete: an array without metadata",
        evidence=evidence,
        hint="fetch it again; `emdvc pull` where it is tracked",
    )


READER = ZarrReader("zarr")
