"""The arrays of a recorded Zarr store, from its list of files and its metadata: which region each file holds.

Zarr core specifications 2.0 and 3.0 (chunk key encodings ``default`` and ``v2``, sharding). Without zarr and numpy: git
asks for one file at a time, and importing them takes longer than all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emdvc.formats.zarr_keys import ChunkKeys

#: NumPy's letters in Zarr 2 -> the name of the number type without its bytes.
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array of a store.

    Parameters
    ----------
    name
        Its path in the store; that of an array that is the store itself is ``.``
    keys
        How its chunk files are named.
    dims
        Names of its dimensions; empty where the metadata do not say them.
    dtype
        Number type.
    """

    name: str
    keys: ChunkKeys
    dims: tuple[str, ...]
    dtype: str

    @property
    def form(self) -> str:
        """Number type, shape, and the shape of what one file holds: ``uint16, y 64, x 64; a file holds y 16, x 16``."""
        if not self.keys.shape:
            return f"{self.dtype}, one value"
        shape, stored = (self._named(map(str, numbers)) for numbers in (self.keys.shape, self.keys.stored))
        return f"{self.dtype}, {shape}; a file holds {stored}"

    def spoken(self, region: tuple[slice, ...]) -> str:
        """Return a region as ``y 0:16, x 32:48``; of an array without dimensions ``the value``."""
        return self._named(f"{part.start}:{part.stop}" for part in region) if region else "the value"

    def _named(self, parts: Any) -> str:
        if not self.dims:
            return ", ".join(parts)
        return ", ".join(f"{dim} {part}" for dim, part in zip(self.dims, parts, strict=True))


def stored_arrays(files: Mapping[str, str], content: Callable[[str], bytes | None]) -> tuple[list[StoredArray], bool]:
    """Return the arrays of a directory, sorted by name, and whether all their metadata were there.

    Parameters
    ----------
    files
        Relative path -> md5.
    content
        Gives the bytes of a file by its md5, or None.
    """
    found, complete = [], True
    for name in sorted(files):
        folder, _, last = name.rpartition("/")
        if last not in ("zarr.json", ".zarray"):
            continue
        raw = content(files[name])
        complete = complete and raw is not None
        try:
            metadata = json.loads(raw) if raw is not None else {}
            attributes = files.get(f"{folder}/.zattrs" if folder else ".zattrs")
            array = _version_3(folder, metadata) if last == "zarr.json" else _version_2(folder, metadata)
            if array is not None and last == ".zarray" and attributes:
                array = _with_dims(array, json.loads(content(attributes) or b"{}").get("_ARRAY_DIMENSIONS"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged, or of a later kind: its files are named, not told
        if array is not None:
            found.append(array)
    return found, complete


def _version_3(folder: str, metadata: Mapping[str, Any]) -> StoredArray | None:
    if metadata.get("node_type") != "array" or metadata["chunk_grid"]["name"] != "regular":
        return None
    naming = metadata["chunk_key_encoding"]
    if naming["name"] not in ("default", "v2"):
        return None
    default = naming["name"] == "default"
    separator = (naming.get("configuration") or {}).get("separator", "/" if default else ".")
    # of a sharded array the grid is that of the shards, each of them a file
    stored = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    keys = _keys(folder, metadata["shape"], stored, "c" if default else "", separator)
    data_type = metadata["data_type"]
    dtype = data_type if isinstance(data_type, str) else str(data_type["name"])
    return _with_dims(StoredArray(folder or ".", keys, (), dtype), metadata.get("dimension_names"))


def _version_2(folder: str, metadata: Mapping[str, Any]) -> StoredArray | None:
    if "shape" not in metadata:
        return None
    keys = _keys(folder, metadata["shape"], metadata["chunks"], "", metadata.get("dimension_separator", "."))
    said = metadata["dtype"]
    kind, width = (said[1:2], said[2:]) if isinstance(said, str) else ("", "")
    dtype = _KINDS[kind] + ("" if kind == "b" else str(8 * int(width))) if kind in _KINDS else str(said)
    return StoredArray(folder or ".", keys, (), dtype)


def _keys(folder: str, shape: Any, stored: Any, prefix: str, separator: str) -> ChunkKeys:
    sizes, pieces = tuple(map(int, shape)), tuple(map(int, stored))
    if len(sizes) != len(pieces) or any(piece < 1 for piece in pieces) or separator not in ("/", "."):
        raise ValueError(f"no grid: {shape}, {stored}")
    return ChunkKeys(folder, sizes, pieces, prefix, separator)


def _with_dims(array: StoredArray, names: Any) -> StoredArray:
    good = isinstance(names, list) and len(names) == len(array.keys.shape) and all(isinstance(n, str) for n in names)
    return StoredArray(array.name, array.keys, tuple(names) if good else (), array.dtype)
