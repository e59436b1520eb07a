"""What the HDF5 readers share: opening a file, its attributes as text, and its metadata tree."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from emdvc.errors import FormatError

#: Metadata arrays up to this size are read into the vendor tree; larger ones stand there by shape and type alone.
READ_LIMIT = 4 << 20
#: Bytes of decoded chunks that HDF5 keeps per dataset: a frame's chunks, so that neighbours are not decoded twice.
CHUNK_CACHE = 16 << 20


def open_hdf5(path: Path | io.RawIOBase) -> Any:
    """Return an open h5py.File of a file or of a stream of bytes, with hdf5plugin's compressors where it is installed.

    Raises
    ------
    FormatError
        The file is truncated or no HDF5.
    """
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  (registers its filters with HDF5)
    name = getattr(path, "name", "the file") if isinstance(path, io.RawIOBase) else path
    try:
        return h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE)
    except OSError as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        raise FormatError(
            f"{name} cannot be read as HDF5: it is truncated, damaged or of another kind",
            evidence=" ".join(str(error).split())[:300],
            hint="compare its size with the original; a file still being written cannot be added",
        ) from error


def text(value: Any) -> str:
    """Return an attribute or a scalar dataset's value as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip("\0")
    return "" if value is None else str(value)


def tree(group: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a group's metadata: attributes under ``@``, small datasets by value, others as shape and type.

    Parameters
    ----------
    group
        Where to start.
    skip
        Full names of datasets and groups to leave out: the data itself.
    """
    import h5py

    found: dict[str, Any] = {}
    if len(group.attrs):
        found["@"] = attributes(group)
    for name in sorted(group):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            found[name] = {"link": f"{link.filename}::{link.path}"}
            continue
        node = group.get(name)
        if node is None or (node.name or "") in skip:
            continue
        if isinstance(node, h5py.Group):
            found[name] = tree(node, skip)
        elif isinstance(node, h5py.Dataset):
            found[name] = _dataset(node)
    return found


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node; what h5py cannot read is left out."""
    import h5py

    found: dict[str, Any] = {}
    for name in node.attrs:
        try:
            value = node.attrs[name]
        except (OSError, TypeError, ValueError):
            continue
        found[str(name)] = str(value) if isinstance(value, h5py.Empty | h5py.Reference) else value
    return found


def datasets(group: Any) -> Iterator[Any]:
    """Yield every dataset of numbers below a group, in the order of their names."""
    import h5py

    for name in sorted(group):
        node = group.get(name)
        if isinstance(node, h5py.Group):
            yield from datasets(node)
        elif isinstance(node, h5py.Dataset) and node.shape and node.dtype.kind in "biufc":
            yield node


def _dataset(node: Any) -> Any:
    size = (node.size or 0) * node.dtype.itemsize
    if node.shape is None:
        return None
    if size > READ_LIMIT:
        value: Any = {"shape": list(node.shape), "dtype": node.dtype.name}
    elif node.dtype.kind == "V" and node.dtype.names is None:
        value = {"shape": list(node.shape), "dtype": node.dtype.name}
    else:
        value = node[()]
        if node.dtype.kind in "SO" and not node.shape:
            value = text(value)
    if not len(node.attrs):
        return value
    units = text(node.attrs.get("units", b""))
    if units and len(node.attrs) == 1:
        return {"value": value, "units": units}
    return {"value": value, "@": attributes(node)}
