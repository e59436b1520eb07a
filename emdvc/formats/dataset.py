"""A dataset as it is used: the file's numbers with the sidecar's record and calibration; also as xarray.Dataset."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, FormatError
from emdvc.formats import registry
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity, is_quantity
from emdvc.model.record import Record
from emdvc.model.sidecar import Sidecar, calibrate

if TYPE_CHECKING:
    import xarray as xr


def locate(path: Path | str) -> tuple[Path, str | None]:
    """Return the data that a path speaks of (data, sidecar, ``.dvc`` pointer, set directory) and the path inside it."""
    file, inner = registry.split_inner(path)
    return sidecars.data_of(file), inner


def open_lazy(
    path: Path | str, options: ReadOptions | None = None, *, signal: str | None = None
) -> tuple[Opened, Sidecar]:
    """Open a dataset with its sidecar's calibration and record, which hold a person's corrections.

    Without a sidecar, the file's own record and axes are given, and a sidecar made of them (without digests).

    Parameters
    ----------
    path
        Data file, Zarr store, set directory, sidecar, ``.dvc`` pointer, or ``file.h5::/inner``.
    options
        How to read; by default as the sidecar says that the file was added.
    signal
        Name of the one array that is meant; by default all that share their axes.

    Raises
    ------
    FormatError
        The file is unknown or damaged, or is not the one that its sidecar speaks of.
    DataMissingError
        The bytes are recorded but not here.
    MetadataError
        The sidecar is damaged.
    """
    data, inner = locate(path)
    sidecar = sidecars.read_resolved(data) if sidecars.path_of(data).is_file() else None
    kept = ReadOptions.from_dict(sidecar.source.get("options") or {}) if sidecar is not None else ReadOptions()
    if inner is not None:
        if sidecar is not None and kept.inner is not None and kept.inner.strip("/") != inner.strip("/"):
            sidecar, kept = None, ReadOptions()  # another array of the same file: the sidecar does not speak of it
        kept = replace(kept, inner=inner)
    options = options or kept
    if signal is not None:
        options = replace(options, signal=signal)
    opened = registry.open_file(data, options)
    try:
        if sidecar is None:
            from emdvc.formats.describe import describe

            sidecar = describe(opened, options=options, files=[], digests={}).resolved()
            opened.axes = {dim: calibrate(axis, opened.record) for dim, axis in opened.axes.items()}
            opened.record = sidecar.record
        else:
            opened = _as_recorded(opened, sidecar, data)
    except BaseException:
        opened.close()
        raise
    return opened, sidecar


def open_dataset(path: Path | str, *, signal: str | None = None, chunks: Any = None, **options: Any) -> xr.Dataset:
    """Open a dataset as a lazily read xarray.Dataset with named, calibrated dimensions.

    Every dimension has a coordinate with a ``units`` attribute (``px`` when uncalibrated); the acquisition record
    stands in ``attrs``, quantities as ``{value, unit, origin}``.

    Parameters
    ----------
    path
        As for :func:`open_lazy`.
    signal
        Name of the one array that is meant; by default all.
    chunks
        As for :func:`xarray.open_dataset`; by default no dask.
    options
        Fields of :class:`emdvc.formats.contract.ReadOptions`, such as ``scan_shape=(64, 64)``.

    Raises
    ------
    FormatError, DataMissingError, MetadataError
        As :func:`open_lazy`.
    """
    import xarray as xr

    given = {key: value for key, value in options.items() if value is not None}
    return xr.open_dataset(str(path), engine="emdvc", chunks=chunks, signal=signal, **given)


def as_dataset(source: Source) -> xr.Dataset:
    """Return the xarray.Dataset of a dataset on disk; its arrays are read when they are indexed."""
    import numpy as np
    import xarray as xr
    from xarray.core import indexing

    opened, sidecar = source.opened()
    variables: dict[str, xr.Variable] = {}
    for variable in opened.variables:
        backend = _backend_array(source, variable.name, variable.array)
        attrs = {"units": variable.unit} if variable.unit else {}
        encoding = {"preferred_chunks": dict(zip(variable.dims, variable.array.chunks, strict=True))}
        data = indexing.LazilyIndexedArray(backend)
        variables[variable.name] = xr.Variable(variable.dims, data, attrs, encoding)
    used = {dim for variable in opened.variables for dim in variable.dims}
    coords = {
        dim: xr.Variable(
            (dim,), np.asarray(axis.coordinates(), dtype="f8"), {"units": axis.unit, "role": str(axis.role)}
        )
        for dim, axis in opened.axes.items()
        if dim in used
    }
    dataset = xr.Dataset(variables, coords, attributes(sidecar.record))
    dataset.set_close(source.close)
    return dataset


def attributes(record: Record) -> dict[str, Any]:
    """Return a record as attributes: plain values by section, nulls left out."""
    plain: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Quantity):
            plain[key] = value.to_dict()
        elif isinstance(value, dict) and not is_quantity(value):
            section = attributes(value)
            if section:
                plain[key] = section
        elif value is not None:
            plain[key] = value
    return plain


def _as_recorded(opened: Opened, sidecar: Sidecar, data: Path) -> Opened:
    """Give an open file the axes and the record of its sidecar; they must speak of the same arrays."""
    axes: dict[str, Axis] = {}
    for variable in opened.variables:
        info = sidecar.variables.get(variable.name)
        if info is not None and (variable.array.shape != info.shape or variable.dims != info.dims):
            raise _other_file(
                data,
                f"{variable.name} has {dict(zip(variable.dims, variable.array.shape, strict=True))}, "
                f"the sidecar says {dict(zip(info.dims, info.shape, strict=True))}",
            )
        for dim, size in zip(variable.dims, variable.array.shape, strict=True):
            axis = sidecar.axes.get(dim)
            if axis is None:
                axis = calibrate(opened.axes[dim], sidecar.record)
            if axis.size != size or (axis.values is not None and len(axis.values.values) != size):
                raise _other_file(data, f"{dim} has {size} samples, the sidecar says {axis.size}")
            axes[dim] = axis
    variables = list(opened.variables)
    if sidecar.main:
        variables.sort(key=lambda variable: variable.name != sidecar.main)
    return replace(opened, variables=tuple(variables), axes=axes, record=sidecar.record)


def _other_file(data: Path, evidence: str) -> FormatError:
    return FormatError(
        f"{data} is not the file that its sidecar speaks of",
        code=Code.FORMAT_BROKEN,
        evidence=evidence,
        hint=f"`git diff {sidecars.path_of(data).name}` shows a changed sidecar; `dvc checkout` brings the data back",
    )


class Source:
    """A dataset on disk and how it is opened: what a lazy array needs to go to another process."""

    def __init__(self, path: str, options: ReadOptions | None, signal: str | None) -> None:
        self._how = (path, options, signal)
        self._lock = threading.Lock()
        self._open: tuple[Opened, Sidecar] | None = None

    def opened(self) -> tuple[Opened, Sidecar]:
        """Return the open dataset and its sidecar; it is opened once in each process."""
        with self._lock:
            if self._open is None:
                path, options, signal = self._how
                self._open = open_lazy(path, options, signal=signal)
            return self._open

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""
        return self.opened()[0].variable(name).array

    def close(self) -> None:
        """Release its files."""
        with self._lock:
            if self._open is not None:
                self._open[0].close()
                self._open = None

    def __getstate__(self) -> Any:
        return self._how

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]


def source_of(path: str, options: ReadOptions | None, signal: str | None) -> Source:
    """Return a dataset on disk, not yet open."""
    return Source(path, options, signal)


def _backend_array(source: Source, name: str, array: LazyArray) -> Any:
    from emdvc.formats.xarray_array import EmdvcArray

    return EmdvcArray(source, name, array.shape, array.dtype)
