"""A Zarr 3 array that is written file by file: chunks compressed, in shards where wanted, its bytes decided here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.formats import zarr_writer
from emdvc.formats.contract import Region
from emdvc.formats.zarr_chunks import ABSENT, Encoded, copy_in_parts
from emdvc.formats.zarr_codecs import Crc32c, Encoder
from emdvc.formats.zarr_keys import ChunkKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Gives the numbers of a region of an array.
Get = Callable[[Region], "Array"]


@dataclass(frozen=True, slots=True)
class StoredArray:
    """How one array is stored.

    Parameters
    ----------
    path
        Names of its groups and its own in the store, joined by ``/``.
    shape, dtype, dims, unit
        Of the array.
    chunk
        Shape of a chunk.
    shard
        Shape of a file that holds many chunks; None where each chunk has its own file.
    order
        Dimensions in the order in which a chunk stores them.
    codec
        How a chunk is compressed; None for not at all.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    unit: str
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None = None
    order: tuple[int, ...] = ()
    codec: Encoder | None = None

    @property
    def keys(self) -> ChunkKeys:
        """How the files are named: flat, because DVC's time is spent per directory."""
        return ChunkKeys(self.path, self.shape, self.shard or self.chunk)

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunks in a file along each dimension."""
        return tuple(whole // part for whole, part in zip(self.shard or self.chunk, self.chunk, strict=True))

    def create(self, store: Path) -> None:
        """Make the array in a store, and the groups that it lies in; its chunks come by :meth:`write`."""
        folder = store / self.path
        for group in reversed((folder / "x").relative_to(store).parents[1:-1]):
            if not (store / group / "zarr.json").exists():
                zarr_writer.create_group(store / group)
        stored = self.shard or self.chunk
        zarr_writer.create_array(
            folder,
            self.shape,
            self.dtype,
            self.dims,
            chunks=stored,
            attributes={"units": self.unit},
            codecs=self._codecs(),
        )

    def write(self, store: Path, index: tuple[int, ...], get: Get) -> None:
        """Write one file of the array.

        Parameters
        ----------
        store
            Where.
        index
            Which file, counted along each dimension.
        get
            Gives the numbers; asked for one chunk after the other.
        """
        with (store / self.keys.key(index)).open("wb") as file:
            if self.shard is None:
                file.write(self._encode(get(self._region(index))))
                return
            places = np.full((*self.counts, 2), ABSENT, "<u8")
            start = 0
            for inner in np.ndindex(*self.counts):
                number = tuple(i * n + k for i, n, k in zip(index, self.counts, inner, strict=True))
                region = self._region(number)
                if any(part.start >= part.stop for part in region):
                    continue  # beyond the array's edge
                content = self._encode(get(region))
                file.write(content)
                places[inner] = start, len(content)
                start += len(content)
            file.write(Crc32c().encode(places.tobytes()))

    def _region(self, number: tuple[int, ...]) -> Region:
        along = zip(number, self.chunk, self.shape, strict=True)
        return tuple(slice(min(i * s, n), min((i + 1) * s, n)) for i, s, n in along)

    def _encode(self, values: Array) -> bytes | memoryview:
        order = self.order or tuple(range(len(self.shape)))
        encoded = Encoded(self.chunk, self.dtype.newbyteorder("<"), order, ())
        if values.shape != self.chunk:
            values = np.pad(values, [(0, full - here) for full, here in zip(self.chunk, values.shape, strict=True)])
        raw = np.empty([self.chunk[axis] for axis in order], encoded.dtype)
        copy_in_parts(raw.transpose([order.index(axis) for axis in range(len(order))]), values, order)
        flat = raw.reshape(-1).view(np.uint8)
        content = self.codec.encode(flat) if self.codec is not None else flat.data
        return Crc32c().encode(content) if self.shard is not None else content

    def _codecs(self) -> list[dict[str, Any]]:
        codecs: list[dict[str, Any]] = []
        if self.order and self.order != tuple(range(len(self.order))):
            codecs.append({"name": "transpose", "configuration": {"order": list(self.order)}})
        codecs.append(zarr_writer.bytes_codec(self.dtype.itemsize))
        if self.codec is not None:
            codecs.append(self.codec.to_dict())
        if self.shard is None:
            return codecs
        # the md5 that DVC knows is that of the whole file: who reads one chunk of it checks this
        codecs.append(Crc32c().to_dict())
        configuration = {
            "chunk_shape": list(self.chunk),
            "codecs": codecs,
            "index_codecs": [zarr_writer.bytes_codec(8), Crc32c().to_dict()],
            "index_location": "end",
        }
        return [{"name": "sharding_indexed", "configuration": configuration}]
