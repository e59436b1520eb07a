"""Writing a phantom as an instrument or a program would: Zarr with calibrations, ``.npy``, headerless raw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emdvc.formats import zarr_writer
from emdvc.model.axis import Axis
from emdvc.model.sidecar import calibrate


class Phantom(Protocol):
    """A simulated dataset whose first dimension is drawn row by row."""

    @property
    def name(self) -> str:
        """Name of the array."""

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions, slowest first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples along each dimension."""

    def rows(self) -> Iterator[NDArray[Any]]:
        """Yield the data row by row."""

    def record(self) -> dict[str, Any]:
        """Return the acquisition record."""

    def axes(self) -> dict[str, Axis]:
        """Return the axes by name."""


def write_zarr(path: Path, phantom: Phantom, *, scan_chunk: int = 8, compressed: bool = True) -> Path:
    """Write a phantom as a Zarr 3 group with one array and a coordinate for each dimension, and return its path.

    Memory holds `scan_chunk` rows of the scan.

    Parameters
    ----------
    path
        Where; a folder that does not exist yet.
    phantom
        What.
    scan_chunk
        Probe positions in a chunk along each scan direction; a chunk holds whole frames.
    compressed
        Whether chunks are compressed (zstd); without it the bytes are the same with every release of zarr and zstd.

    Notes
    -----
    The group's attributes hold the record under ``emdvc: {record: ...}``.
    """
    zarr_writer.create_group(path, {"emdvc": {"record": phantom.record()}})
    chunks = tuple(min(n, scan_chunk) if i < 2 else n for i, n in enumerate(phantom.shape))
    write = _compressed(path, phantom, chunks) if compressed else _plain(path, phantom, chunks)
    band: list[NDArray[Any]] = []
    for y, row in enumerate(phantom.rows()):
        band.append(row)
        if len(band) == scan_chunk or y + 1 == phantom.shape[0]:
            write(y + 1 - len(band), np.stack(band))
            band.clear()
    for dim, axis in phantom.axes().items():
        calibrated = calibrate(axis, phantom.record())
        coordinates = np.array(calibrated.coordinates(), dtype="f8")
        zarr_writer.write_array(path / dim, coordinates, (dim,), {"units": calibrated.unit})
    return path


#: Writes some rows of the scan, from a row on.
_WriteRows = Callable[[int, NDArray[Any]], None]


def _plain(path: Path, phantom: Phantom, chunks: tuple[int, ...]) -> _WriteRows:
    array = path / phantom.name
    units = {"units": "counts"}
    zarr_writer.create_array(array, phantom.shape, phantom.dtype, phantom.dims, chunks=chunks, attributes=units)

    def write(start: int, rows: NDArray[Any]) -> None:
        rest = (0,) * (len(chunks) - 2)
        for number, x in enumerate(range(0, phantom.shape[1], chunks[1])):
            zarr_writer.write_chunk(array, (start // chunks[0], number, *rest), rows[:, x : x + chunks[1]], chunks)

    return write


def _compressed(path: Path, phantom: Phantom, chunks: tuple[int, ...]) -> _WriteRows:
    import zarr
    from zarr.codecs import ZstdCodec

    array = zarr.open_group(path, mode="r+").create_array(
        phantom.name,
        shape=phantom.shape,
        dtype=phantom.dtype,
        chunks=chunks,
        compressors=[ZstdCodec(level=1)],
        chunk_key_encoding={"name": "v2", "separator": "."},
        dimension_names=phantom.dims,
        attributes={"units": "counts"},
    )

    def write(start: int, rows: NDArray[Any]) -> None:
        array[start : start + len(rows)] = rows

    return write


def write_npy(path: Path, phantom: Phantom) -> Path:
    """Write a phantom as a NumPy file and return its path; memory holds one row."""
    with path.open("wb") as file:
        header = {"descr": phantom.dtype.str, "fortran_order": False, "shape": phantom.shape}
        np.lib.format.write_array_header_1_0(file, header)
        _write_rows(file, phantom)
    return path


def write_raw(path: Path, phantom: Phantom, *, header: bytes = b"") -> Path:
    """Write a phantom as bare little-endian numbers, after any `header`, and return its path; memory holds one row."""
    with path.open("wb") as file:
        file.write(header)
        _write_rows(file, phantom)
    return path


def _write_rows(file: Any, phantom: Phantom) -> None:
    for row in phantom.rows():
        file.write(np.ascontiguousarray(row, phantom.dtype).tobytes())
