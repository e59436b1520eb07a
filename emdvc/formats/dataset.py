"""A dataset as it is used: the file's numbers with the sidecar's record and calibration; also as xarray.Dataset."""

from __future__ import annotations

import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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


#: Size of a dask chunk: several chunks of a file, so that tasks are few, and many dask chunks fit into memory.
_DASK_CHUNK = "32MiB"


class AnySource(Protocol):
    """A dataset that opens itself when its numbers are wanted, in another process too."""

    def opened(self) -> tuple[Opened, Sidecar]:
        """Return the open dataset and its sidecar."""

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""

    def close(self) -> None:
        """Release its files."""


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
    return with_sidecar(registry.open_file(data, options), sidecar, options, str(data))


def with_sidecar(opened: Opened, sidecar: Sidecar | None, options: ReadOptions, name: str) -> tuple[Opened, Sidecar]:
    """Give an open file the axes and the record of its sidecar, or make a sidecar of its own ones.

    Parameters
    ----------
    opened
        The file; closed when an error is raised.
    sidecar
        What is known of it, resolved; None where it has none.
    options
        How it was read.
    name
        What messages call it.

    Raises
    ------
    FormatError
        The sidecar speaks of other arrays.
    """
    try:
        if sidecar is not None:
            return _as_recorded(opened, sidecar, name), sidecar
        from emdvc.formats.describe import describe

        sidecar = describe(opened, options=options, files=[], digests={}).resolved()
        opened.axes = {dim: calibrate(axis, opened.record) for dim, axis in opened.axes.items()}
        opened.record = sidecar.record
    except BaseException:
        opened.close()
        raise
    return opened, sidecar


def open_dataset(
    path: Path | str,
    rev: str | None = None,
    repo: str | None = None,
    remote: str | None = None,
    *,
    signal: str | None = None,
    chunks: Any = "auto",
    **options: Any,
) -> xr.Dataset:
    """Open a dataset as a lazily read xarray.Dataset with named, calibrated dimensions; its data need not be here.

    Every dimension has a coordinate with a ``units`` attribute (``px`` when uncalibrated); the acquisition record
    stands in ``attrs``, quantities as ``{value, unit, origin}``. What is not here is fetched from the project's remote
    when it is read, checked, and kept in DVC's cache.

    Parameters
    ----------
    path
        Data file, Zarr store, set directory, sidecar, ``.dvc`` pointer, or ``file.h5::/inner``; may end in
        ``@REVISION``. With `repo`, relative to the project there.
    rev
        Any name of a commit that git knows; by default what lies in the workspace, or is recorded there.
    repo
        Another git repository: a folder, or any URL that git clones.
    remote
        Remote to ask for what is not here; by default the one that the dataset is kept on.
    signal
        Name of the one array that is meant; by default all.
    chunks
        As for :func:`xarray.open_dataset`. By default dask arrays in pieces of a few of the file's own chunks; with
        None no dask: numpy arrays that are read when they are indexed.
    options
        Fields of :class:`emdvc.formats.contract.ReadOptions`, such as ``scan_shape=(64, 64)``.

    Raises
    ------
    FormatError, DataMissingError, MetadataError
        As :func:`open_lazy`; data is neither here nor on the remote, or corrupt there.
    UsageError, ProjectError, EnvironmentFault
        There is no such revision; the path lies in no project; the repository or the remote does not answer.
    """
    import xarray as xr

    from emdvc.formats.xarray_backend import read_options

    said = read_options(options)
    meant = recorded_source(str(path), rev=rev, repo=repo, remote=remote, options=said, signal=signal)
    # a recorded dataset as it is, not by its name: dask must not take two revisions for the same
    what: Any = str(path) if meant is None else meant
    how: dict[str, Any] = {"signal": signal, **options} if meant is None else {}
    if chunks != "auto":
        return xr.open_dataset(what, engine="emdvc", chunks=chunks, **how)
    import dask

    with dask.config.set({"array.chunk-size": _DASK_CHUNK}):
        return xr.open_dataset(what, engine="emdvc", chunks=chunks, **how)


def as_dataset(source: AnySource) -> xr.Dataset:
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


def _as_recorded(opened: Opened, sidecar: Sidecar, name: str) -> Opened:
    """Give an open file the axes and the record of its sidecar; they must speak of the same arrays."""
    axes: dict[str, Axis] = {}
    for variable in opened.variables:
        info = sidecar.variables.get(variable.name)
        if info is not None and (variable.array.shape != info.shape or variable.dims != info.dims):
            raise _other_file(
                name,
                f"{variable.name} has {dict(zip(variable.dims, variable.array.shape, strict=True))}, "
                f"the sidecar says {dict(zip(info.dims, info.shape, strict=True))}",
            )
        for dim, size in zip(variable.dims, variable.array.shape, strict=True):
            axis = sidecar.axes.get(dim)
            if axis is None:
                axis = calibrate(opened.axes[dim], sidecar.record)
            if axis.size != size or (axis.values is not None and len(axis.values.values) != size):
                raise _other_file(name, f"{dim} has {size} samples, the sidecar says {axis.size}")
            axes[dim] = axis
    variables = list(opened.variables)
    if sidecar.main:
        variables.sort(key=lambda variable: variable.name != sidecar.main)
    return replace(opened, variables=tuple(variables), axes=axes, record=sidecar.record)


def _other_file(name: str, evidence: str) -> FormatError:
    return FormatError(
        f"{name} is not the file that its sidecar speaks of",
        code=Code.FORMAT_BROKEN,
        evidence=evidence,
        hint="`git diff` shows a changed sidecar; `dvc checkout` brings the data back",
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


def recorded_source(
    path: str,
    *,
    rev: str | None = None,
    repo: str | None = None,
    remote: str | None = None,
    options: ReadOptions | None = None,
    signal: str | None = None,
) -> AnySource | None:
    """Return a dataset as it was recorded, not yet open; None where it is to be read as it lies there.

    Parameters
    ----------
    path, rev, repo, remote, signal
        As for :func:`open_dataset`.
    options
        How to read; by default as the sidecar says.

    Raises
    ------
    UsageError, ProjectError, DataMissingError, EnvironmentFault
        As :func:`open_dataset`.
    """
    # by name: what reads formats must not reach up to what knows git and DVC
    finding = import_module("emdvc.history.lazy.finding")
    found: AnySource | None = finding.recorded_source(path, rev, repo, remote, options, signal)
    return found


def _backend_array(source: AnySource, name: str, array: LazyArray) -> Any:
    from emdvc.formats.xarray_array import EmdvcArray

    return EmdvcArray(source, name, array.shape, array.dtype)
