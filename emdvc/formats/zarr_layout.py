"""How a Zarr array is stored, from its metadata; None for what only zarr-python reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emdvc.formats.store_source import source_of
from emdvc.formats.zarr_chunks import Encoded, Shard, ZarrChunks
from emdvc.formats.zarr_codecs import ByteCodec, from_metadata
from emdvc.formats.zarr_keys import ChunkKeys

#: Bytes that a codec adds to a shard's index, where that is the same for every content.
_FIXED = {"crc32c": 4}


class _Unknown(Exception):  # noqa: N818 - not an error: zarr-python reads it
    """The metadata speak of something that is not read here."""


def chunks_of(array: Any) -> ZarrChunks | None:
    """Return how to read the chunk files of a zarr-python array directly; None where only zarr-python can."""
    from zarr.storage import LocalStore

    source = source_of(array.store)
    if not (isinstance(array.store, LocalStore) or source is not None) or array.dtype.kind not in "biufc":
        return None
    store, folder = Path(array.store.root), str(array.path).strip("/")
    try:
        version = array.metadata.zarr_format
        name = "zarr.json" if version == 3 else ".zarray"
        key = f"{folder}/{name}" if folder else name
        metadata = json.loads((store / key).read_bytes() if source is None else source.read(key))
        if tuple(metadata["shape"]) != tuple(array.shape):
            return None
        build = _version_3 if version == 3 else _version_2
        return replace(build(store, folder, metadata, array), source=source)
    except (_Unknown, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _version_3(store: Path, folder: str, metadata: Mapping[str, Any], array: Any) -> ZarrChunks:
    shape = tuple(metadata["shape"])
    grid, naming = metadata["chunk_grid"], metadata["chunk_key_encoding"]
    if grid["name"] != "regular" or metadata.get("storage_transformers") or naming["name"] not in ("default", "v2"):
        raise _Unknown
    default = naming["name"] == "default"
    separator = (naming.get("configuration") or {}).get("separator", "/" if default else ".")
    stored = tuple(grid["configuration"]["chunk_shape"])
    keys = ChunkKeys(folder, shape, stored, "c" if default else "", separator)
    codecs = metadata["codecs"]
    if codecs[0]["name"] != "sharding_indexed":
        return ZarrChunks(store, keys, _encoded(stored, array.dtype, codecs), array.fill_value)
    if len(codecs) != 1:
        raise _Unknown
    sharding = codecs[0]["configuration"]
    inner = tuple(sharding["chunk_shape"])
    counts = tuple(whole // part for whole, part in zip(stored, inner, strict=True))
    index = _encoded((*counts, 2), np.dtype(np.uint64), sharding["index_codecs"])
    size = index.nbytes + sum(_FIXED.get(codec["name"], 0) for codec in sharding["index_codecs"])
    if any(codec["name"] not in ("bytes", "transpose", *_FIXED) for codec in sharding["index_codecs"]):
        raise _Unknown
    location = sharding.get("index_location", "end")
    if location not in ("start", "end"):
        raise _Unknown
    shard = Shard(counts, index, size, location == "start")
    return ZarrChunks(store, keys, _encoded(inner, array.dtype, sharding["codecs"]), array.fill_value, shard)


def _encoded(chunk: tuple[int, ...], dtype: np.dtype[Any], codecs: Sequence[Any]) -> Encoded:
    order, endian, rest = tuple(range(len(chunk))), None, list(codecs)
    while rest and rest[0]["name"] == "transpose":
        turn = rest.pop(0)["configuration"]["order"]
        if sorted(turn) != list(range(len(chunk))):
            raise _Unknown
        order = tuple(order[axis] for axis in turn)
    if not rest or rest[0]["name"] != "bytes":
        raise _Unknown
    endian = (rest.pop(0).get("configuration") or {}).get("endian", "little")
    if endian not in ("little", "big"):
        raise _Unknown
    compressors = tuple(_codec(codec["name"], codec.get("configuration") or {}) for codec in rest)
    return Encoded(chunk, dtype.newbyteorder("<" if endian == "little" else ">"), order, compressors)


def _version_2(store: Path, folder: str, metadata: Mapping[str, Any], array: Any) -> ZarrChunks:
    shape, chunk = tuple(metadata["shape"]), tuple(metadata["chunks"])
    if metadata.get("filters") or metadata["order"] not in ("C", "F"):
        raise _Unknown
    dtype = np.dtype(metadata["dtype"])
    if dtype.newbyteorder("=") != np.dtype(array.dtype).newbyteorder("="):
        raise _Unknown
    axes = tuple(range(len(shape)))
    order = axes if metadata["order"] == "C" else axes[::-1]
    compressor = metadata["compressor"]
    codecs = (_codec(compressor["id"], compressor),) if compressor else ()
    fill = array.fill_value if array.fill_value is not None else np.zeros((), dtype)[()]
    keys = ChunkKeys(folder, shape, chunk, "", metadata.get("dimension_separator", "."))
    if math.prod(chunk) == 0:
        raise _Unknown
    return ZarrChunks(store, keys, Encoded(chunk, dtype, order, codecs), fill)


def _codec(name: str, configuration: Mapping[str, Any]) -> ByteCodec:
    found = from_metadata(name, configuration)
    if found is None:
        raise _Unknown
    return found
