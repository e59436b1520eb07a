"""A step's result: arrays in memory with calibrated axes, and their way to disk: Zarr, sidecar and picture at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, ConflictError
from emdvc.formats import zarr_writer
from emdvc.formats.chunk_files import ChunkFiles
from emdvc.formats.digest import array_digest, content_digest
from emdvc.formats.publishing import publish, writing
from emdvc.formats.statistics import statistics
from emdvc.model.axis import INHERITED, Axis
from emdvc.model.record import Record
from emdvc.model.sidecar import Sidecar, VariableInfo, merge

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ResultVariable:
    """One array of a result.

    Parameters
    ----------
    name, dims, values, unit
        The array; `dims` slowest first.
    signed
        Whether zero is the middle of its scale.
    title
        What a reader calls it.
    chunks
        Shape of the chunks in which it is stored; None for one chunk.
    attributes
        What the store says of it besides its unit and title.
    """

    name: str
    dims: tuple[str, ...]
    values: NDArray[Any] | ChunkFiles
    unit: str = ""
    signed: bool = False
    title: str = ""
    chunks: tuple[int, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a step computed, before it is written.

    Large arrays lie in files (:class:`emdvc.formats.chunk_files.ChunkFiles`); writing the result takes the files.

    Parameters
    ----------
    variables
        The arrays; the first is the main one.
    axes
        Every dimension, calibrated (for the picture).
    own_axes
        Names of the axes that the step made itself: only these are written with the result, the others' calibration
        stays with the input and is inherited by reference.
    provenance
        Step, version, parameters, inputs with their digests.
    title
        One line for the picture.
    record
        The input's record, written with the result only where the input has no sidecar to inherit it from.
    own_record
        What the result's record says otherwise than the input's; nested, always written.
    """

    variables: tuple[ResultVariable, ...]
    axes: Mapping[str, Axis]
    own_axes: frozenset[str] = frozenset()
    provenance: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    record: Record = field(default_factory=dict)
    own_record: Record = field(default_factory=dict)


def write_result(path: Path, result: Result, *, source: Path | None = None, picture: bytes | None = None) -> Sidecar:
    """Write a result: ``path`` (Zarr 3), its sidecar, and its picture beside it.

    All three are complete or absent: they are written under ``*.partial`` names and renamed at the end. The Zarr bytes
    depend on the numbers alone: arrays are stored uncompressed (they are small, and a compressor's next release may
    write other bytes), one chunk each, flat chunk keys.

    Parameters
    ----------
    path
        Where the Zarr store goes; an older result there is replaced.
    result
        What was computed.
    source
        The input whose sidecar holds for the result too; None where it has none.
    picture
        PNG, written as ``path`` with the suffix ``.png``.

    Raises
    ------
    ConflictError
        Something that is no result of emdvc lies at `path`.
    """
    if path.exists() and not (path / "zarr.json").is_file():
        raise ConflictError(
            f"{path} exists and is not a result of emdvc",
            code=Code.RAW_EXISTS,
            evidence="it holds no zarr.json",
            hint="give another OUTPUT, or remove it first",
        )
    sidecar = _sidecar(path, result, source)
    with writing(path) as store:
        _write_zarr(store, result)
        publish(path, sidecar, picture)
    return sidecar


def _sidecar(path: Path, result: Result, source: Path | None) -> Sidecar:
    inherits = os.path.relpath(source, path.parent).replace(os.sep, "/") if source is not None else None
    axes = {}
    for dim, axis in result.axes.items():
        if not any(dim in variable.dims for variable in result.variables):
            continue
        # what the step did not make stays where it is kept, and a correction there holds here at once
        kept_there = inherits is not None and dim not in result.own_axes
        axes[dim] = replace(axis, calibration=axis.calibration or INHERITED) if kept_there else axis
    return Sidecar(
        record=merge(result.record, result.own_record) if inherits is None else result.own_record,
        axes=axes,
        variables={
            variable.name: VariableInfo(
                variable.dims,
                tuple(variable.values.shape),
                variable.values.dtype.name,
                _digest(variable.values),
                variable.unit,
            )
            for variable in result.variables
        },
        main=result.variables[0].name,
        provenance=result.provenance,
        statistics={variable.name: statistics(variable.values) for variable in result.variables},
        inherits=inherits,
    )


def _digest(values: NDArray[Any] | ChunkFiles) -> str:
    return content_digest(values) if isinstance(values, ChunkFiles) else array_digest(values)


def _write_zarr(path: Path, result: Result) -> None:
    import numpy as np

    zarr_writer.create_group(path)
    for variable in result.variables:
        attributes = {"units": variable.unit, "long_name": variable.title, **variable.attributes}
        _write_variable(path / variable.name, variable, attributes)
    for dim in sorted(result.own_axes):
        axis = result.axes[dim]
        if axis.scale is None and axis.values is None:
            continue  # the rows of a table: their numbers say nothing
        coordinates = np.asarray(axis.coordinates(), dtype="f8")
        zarr_writer.write_array(path / dim, coordinates, (dim,), {"units": axis.unit})


def _write_variable(path: Path, variable: ResultVariable, attributes: Mapping[str, str]) -> None:
    values = variable.values
    if isinstance(values, ChunkFiles):
        chunks = values.chunks
        zarr_writer.create_array(path, values.shape, values.dtype, variable.dims, chunks=chunks, attributes=attributes)
        for index in values.indices():
            shutil.move(values.file(index), path / values.file(index).name)
    else:
        zarr_writer.write_array(path, values, variable.dims, attributes, chunks=variable.chunks)
