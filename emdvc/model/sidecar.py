"""The sidecar: what ``X.em.yaml`` says about a dataset, as a value. Its file is read and written in emdvc.formats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from emdvc.errors import Code, MetadataError
from emdvc.model import record as rec
from emdvc.model.axis import INHERITED, Axis
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

#: Version of the sidecar's schema; raised when a reader of the old one would misread the new one.
SCHEMA_VERSION = 1

_OWN_KEYS = ("axes", "data", "inherits", "provenance", "schema_version", "source", "statistics", "vendor")


@dataclass(frozen=True, slots=True)
class VariableInfo:
    """What a sidecar says about one array of a dataset.

    Parameters
    ----------
    dims
        Names of its dimensions, slowest first.
    shape
        Samples along each.
    dtype
        NumPy's name of the number type, without byte order (``uint16``).
    digest
        Content digest: of the numbers, whatever their encoding (see :mod:`emdvc.formats.digest`).
    unit
        Unit of the values, such as ``counts``; empty when unknown.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    digest: str = ""
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that stands in a sidecar."""
        return {
            "dims": list(self.dims),
            "shape": list(self.shape),
            "dtype": self.dtype,
            "digest": self.digest,
            "unit": self.unit,
        }

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> VariableInfo:
        """Return what a sidecar's mapping says."""
        return cls(
            tuple(mapping["dims"]),
            tuple(int(n) for n in mapping["shape"]),
            str(mapping["dtype"]),
            str(mapping.get("digest") or ""),
            str(mapping.get("unit") or ""),
        )


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Everything that ``X.em.yaml`` says.

    Parameters
    ----------
    record
        Acquisition record as nested mappings (see :mod:`emdvc.model.record`). Of a stage's output only what the stage
        itself changed: the rest is inherited.
    axes
        Axes by name. One that the record calibrates holds no scale of its own.
    variables
        Arrays by name; :attr:`main` is the one a person means by "the dataset".
    main
        Name of the main array.
    source
        ``reader`` and ``files`` (path, sha256, size) of raw data; empty for results.
    provenance
        How a result came to be: step, version, parameters, inputs with their digests.
    statistics
        Per variable: sum, min, max, mean, quantiles.
    inherits
        Path of the dataset whose record holds for this one too, relative to the sidecar's folder.
    vendor
        The vendor's whole metadata tree; large arrays as shape and digest.
    """

    record: Record = field(default_factory=dict)
    axes: dict[str, Axis] = field(default_factory=dict)
    variables: dict[str, VariableInfo] = field(default_factory=dict)
    main: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    statistics: dict[str, Any] = field(default_factory=dict)
    inherits: str | None = None
    vendor: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``raw`` for what an instrument wrote, ``result`` for what a stage computed."""
        return "result" if self.provenance else "raw"

    def to_dict(self) -> dict[str, Any]:
        """Return the plain mapping that the file holds."""
        mapping: dict[str, Any] = dict(self.record)
        mapping["schema_version"] = SCHEMA_VERSION
        mapping["axes"] = {dim: axis.to_dict() for dim, axis in self.axes.items()}
        mapping["data"] = {
            "main": self.main,
            "variables": {name: info.to_dict() for name, info in self.variables.items()},
        }
        for name in ("source", "provenance", "statistics", "inherits", "vendor"):
            value = getattr(self, name)
            if value:
                mapping[name] = value
        return mapping

    @classmethod
    def from_dict(cls, mapping: Any, where: str = "the sidecar") -> Sidecar:
        """Return the sidecar that a plain mapping holds.

        Raises
        ------
        MetadataError
            It is not a sidecar, is of a newer schema, or one of its parts is malformed.
        """
        if not isinstance(mapping, dict) or "schema_version" not in mapping:
            raise MetadataError(
                f"{where} is not an emdvc sidecar", code=Code.SIDECAR_BROKEN, evidence="it has no schema_version"
            )
        if int(mapping["schema_version"]) > SCHEMA_VERSION:
            raise MetadataError(
                f"{where} was written by a newer emdvc",
                code=Code.SIDECAR_BROKEN,
                evidence=f"schema_version {mapping['schema_version']}, this emdvc knows {SCHEMA_VERSION}",
                hint="pip install --upgrade emdvc",
            )
        try:
            data = mapping.get("data") or {}
            return cls(
                record={key: value for key, value in mapping.items() if key not in _OWN_KEYS and key != "data"},
                axes={dim: Axis.from_dict(dim, axis) for dim, axis in (mapping.get("axes") or {}).items()},
                variables={name: VariableInfo.from_dict(info) for name, info in (data.get("variables") or {}).items()},
                main=str(data.get("main") or ""),
                source=mapping.get("source") or {},
                provenance=mapping.get("provenance") or {},
                statistics=mapping.get("statistics") or {},
                inherits=mapping.get("inherits"),
                vendor=mapping.get("vendor") or {},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MetadataError(
                f"{where} is damaged",
                code=Code.SIDECAR_BROKEN,
                evidence=f"{type(error).__name__}: {error}",
                hint="git diff shows what changed; git checkout brings the committed one back",
            ) from error

    def resolved(self, parent: Sidecar | None = None) -> Sidecar:
        """Return the sidecar with the parent's record merged in and every axis calibrated.

        Parameters
        ----------
        parent
            Resolved sidecar of the dataset named by :attr:`inherits`; what this sidecar says itself wins.
        """
        record = merge(parent.record if parent else {}, self.record)
        axes = {}
        for dim, own in self.axes.items():
            above = parent.axes.get(dim) if parent and own.calibration == INHERITED else None
            kept = replace(own, scale=above.scale, offset=above.offset, values=above.values) if above else own
            axes[dim] = calibrate(kept, record)
        return replace(self, record=record, axes=axes)


def merge(below: Record, above: Record) -> Record:
    """Return two records as one, what stands in `above` winning; quantities are never blended, nulls never win."""
    from emdvc.model.quantity import is_quantity

    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and not is_quantity(value) and not is_quantity(old):
            merged[key] = merge(old, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def calibrate(axis: Axis, record: Record) -> Axis:
    """Return an axis with the scale and offset that the record holds for it.

    A diffraction axis has its zero at ``diffraction.center``; while it is uncalibrated its coordinates are plain pixel
    numbers, so that they can be read off and typed back. A scan axis starts at ``scan.offset`` (a part of a larger scan
    keeps its place in it), else at 0.
    """
    if axis.calibration in (None, INHERITED):
        return axis
    scale = rec.quantity(record, axis.calibration)
    if scale is None or scale.unit in ("", "px"):
        return replace(axis, scale=None, offset=None)
    index = 0 if axis.dim in ("y", "ky") else 1
    step = Quantity(component(scale, index), scale.unit, scale.origin)
    offset = Quantity(0.0, scale.unit, scale.origin)
    if axis.calibration == "diffraction.pixel_size":
        center = rec.quantity(record, "diffraction.center")
        if center is not None:
            offset = Quantity(-component(center, index) * step.values[0], scale.unit, center.origin)
    elif axis.calibration == "scan.step":
        first = rec.quantity(record, "scan.offset")
        if first is not None:
            offset = Quantity(component(first, index) * step.values[0], scale.unit, first.origin)
    return replace(axis, scale=step, offset=offset)


def component(pair: Quantity, index: int) -> float:
    """Return the y (0) or x (1) number of a quantity that may hold one number for both."""
    return float(pair.values[index if len(pair.values) > 1 else 0])
