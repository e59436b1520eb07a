"""Writing Zarr 3 whose bytes are decided here alone.

A result's md5 stands in dvc.lock, so the same numbers must give the same files with each release of each library. The
format is simple enough for that (Zarr core specification 3.0): metadata as JSON in a fixed order of keys, and each
chunk as its numbers, little-endian, uncompressed, under a flat key. Any Zarr reader reads it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray


def create_group(path: Path, attributes: Mapping[str, Any] | None = None) -> Path:
    """Make a group and return its path; its folder must not exist."""
    path.mkdir(parents=True)
    _write(path, {"attributes": dict(attributes or {}), "zarr_format": 3, "node_type": "group"})
    return path


def create_array(
    path: Path,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    dims: tuple[str, ...],
    *,
    chunks: tuple[int, ...] | None = None,
    attributes: Mapping[str, str] | None = None,
    codecs: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Make an array without chunks and return its path; its folder must not exist.

    Parameters
    ----------
    path
        Where.
    shape, dtype, dims
        Of the array; the number type without regard to byte order.
    chunks
        Shape of a chunk; by default one chunk holds all.
    attributes
        Texts; empty ones are left out.
    codecs
        Metadata of what makes bytes of a chunk; by default its numbers alone, little-endian.
    """
    import numpy as np

    path.mkdir(parents=True)
    kind = np.dtype(dtype)
    _write(
        path,
        {
            "shape": list(shape),
            "data_type": kind.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [max(1, n) for n in chunks or shape]},
            },
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
            "fill_value": {"f": 0.0, "b": False, "c": [0.0, 0.0]}.get(kind.kind, 0),
            "codecs": list(codecs) if codecs is not None else [bytes_codec(kind.itemsize)],
            "attributes": {key: text for key, text in (attributes or {}).items() if text},
            "dimension_names": list(dims),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        },
    )
    return path


def bytes_codec(itemsize: int) -> dict[str, Any]:
    """Return the metadata of numbers as little-endian bytes; single bytes have no order."""
    return {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"}


def write_chunk(
    path: Path, index: tuple[int, ...], values: NDArray[Any], chunks: tuple[int, ...] | None = None
) -> None:
    """Write one chunk of an array.

    Parameters
    ----------
    path
        The array.
    index
        Which chunk, counted in chunks along each dimension.
    values
        Its numbers; a chunk that the array's edge cuts may have fewer, and is filled up with zeros.
    chunks
        Shape of a full chunk; by default that of `values`.
    """
    import numpy as np

    if chunks is not None and values.shape != chunks:
        values = np.pad(values, [(0, full - here) for full, here in zip(chunks, values.shape, strict=True)])
    content: NDArray[Any] = np.ascontiguousarray(values).astype(_little(values.dtype), copy=False)
    (path / (".".join(map(str, index)) or "0")).write_bytes(content.tobytes())


def write_array(
    path: Path,
    values: NDArray[Any],
    dims: tuple[str, ...],
    attributes: Mapping[str, str] | None = None,
    *,
    chunks: tuple[int, ...] | None = None,
) -> None:
    """Write a whole array, as one chunk unless others are asked for."""
    create_array(path, values.shape, values.dtype, dims, chunks=chunks, attributes=attributes)
    if not values.size:
        return
    size = chunks or values.shape
    for index in itertools.product(*(range(-(-n // c)) for n, c in zip(values.shape, size, strict=True))):
        region = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, size, strict=True))
        write_chunk(path, index, values[region], size)


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _write(path: Path, metadata: Mapping[str, Any]) -> None:
    (path / "zarr.json").write_bytes(json.dumps(metadata, indent=2).encode("ascii"))
