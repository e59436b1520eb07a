"""The acquisition record: the table of its fields, and how a key is read, checked and set.

The record is kept as nested plain mappings, exactly as it stands in the sidecar; a leaf is a :class:`Quantity`'s
mapping, a string, a number, a truth value or a list. The table below is what the documentation's field reference,
the readers' mapping, ``--set`` and the exporters all use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from emdvc.errors import Code, MetadataError, suggest
from emdvc.model import units
from emdvc.model.quantity import Origin, Quantity, is_quantity

Kind = Literal["quantity", "pair", "text", "number", "integer", "flag", "list", "map"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the record.

    Parameters
    ----------
    key
        Dotted path in the sidecar.
    kind
        What the field holds; ``pair`` is a quantity with two numbers, in the order (y, x).
    unit
        The unit it is normally given in.
    doc
        What it is, in a few words.
    hyperspy, nexus
        Where HyperSpy and NeXus (NXem) keep the same; empty where they do not. ``T`` stands for
        ``Acquisition_instrument.TEM``, ``N`` for ``/entry/measurement/eventID/instrument``, ``O`` for ``N/optics``,
        ``B`` for ``N/ebeam_column``, ``I`` for ``/entry/measurement/instrument``, ``D`` for ``N/detectorID``.
    rare
        Whether a record normally lacks it, and nobody should be asked for it.
    """

    key: str
    kind: Kind
    unit: str
    doc: str
    hyperspy: str = ""
    nexus: str = ""
    rare: bool = False


_T: Kind = "text"
FIELDS: tuple[Field, ...] = (
    Field("title", _T, "", "name of the measurement", "General.title", "experiment_alias"),
    Field("acquired_at", _T, "", "start, ISO 8601 with zone", "General.date, time, time_zone", "eventID/start_time"),
    Field("operator", _T, "", "who measured: ORCID or name", "General.authors", "userID/name"),
    Field("facility", _T, "", "where it was measured", "", "I/location"),
    Field("proposal", _T, "", "beamtime proposal", "", "identifier_experiment"),
    Field("doi", _T, "", "publication", "General.doi", "citeID/doi"),
    Field("notes", _T, "", "free text", "General.notes", "eventID/notes"),
    Field("mode", _T, "", "TEM, STEM or SEM", "T.acquisition_mode", "B/operation_mode"),
    Field("sample.id", _T, "", "identifier of the sample", "Sample.description", "sampleID/identifier"),
    Field("sample.description", _T, "", "what the sample is", "Sample.description", "sampleID/description"),
    Field("sample.elements", "list", "", "chemical elements", "Sample.elements", "sampleID/atom_types"),
    Field("sample.thickness", "quantity", "nm", "thickness", "Sample.thickness (m)", "sampleID/thickness"),
    Field("instrument.model", _T, "", "microscope", "T.microscope", "I/fabrication/model"),
    Field("instrument.serial", _T, "", "serial number", "", "I/fabrication/serial_number"),
    Field("beam.energy", "quantity", "keV", "energy of the electrons", "T.beam_energy", "B/electron_source/voltage"),
    Field("beam.current", "quantity", "nA", "probe current", "T.beam_current", "O/probe_current"),
    Field(
        "beam.semi_convergence",
        "quantity",
        "mrad",
        "convergence semi-angle",
        "T.convergence_angle",
        "O/semi_convergence_angle",
    ),
    Field("beam.defocus", "quantity", "nm", "defocus", "T.defocus", "O/defocus"),
    Field("beam.aberrations", "map", "nm", "aberration coefficients by name", "", "B/corrector_csID/tableauID"),
    Field("beam.precession_angle", "quantity", "mrad", "precession angle", "T.rocking_angle", ""),
    Field("beam.precession_frequency", "quantity", "Hz", "precession frequency", "T.rocking_frequency", ""),
    Field("optics.camera_length", "quantity", "mm", "camera length", "T.camera_length", "O/camera_length"),
    Field("optics.magnification", "number", "", "magnification", "T.magnification", "O/magnification"),
    Field("scan.shape", "list", "", "probe positions (ny, nx)", "axes", "eventID/imageID"),
    Field("scan.step", "pair", "nm", "distance of probe positions (y, x)", "axis scale", "image axis_j, axis_i"),
    Field(
        "scan.offset",
        "pair",
        "px",
        "first probe position (y, x) in the whole scan",
        "axis offset",
        "image axes",
        rare=True,
    ),
    Field("scan.rotation", "quantity", "deg", "scan rotation", "T.scan_rotation, T.rotation", "O/rotation"),
    Field("scan.dwell", "quantity", "s", "dwell time", "T.dwell_time", "B/scan_controller/dwell_time"),
    Field("scan.flyback", "quantity", "s", "flyback time", "", "B/scan_controller/flyback_time"),
    Field("detector.name", _T, "", "detector", "T.Detector.*", "I/detectorID/name"),
    Field("detector.type", _T, "", "kind of detector", "T.Detector.*", "I/detectorID/type"),
    Field("detector.shape", "list", "", "pixels (ny, nx)", "axes", "D/data"),
    Field("detector.pixel_pitch", "quantity", "um", "pixel pitch", "", "D/x_pixel_size"),
    Field("detector.exposure", "quantity", "s", "exposure per frame", "T.Detector.Camera.exposure", "D/count_time"),
    Field("detector.bit_depth", "integer", "", "counter depth", "original_metadata", "D/bit_depth_readout"),
    Field("detector.saturation", "integer", "", "saturation value", "original_metadata", "D/saturation_value"),
    Field("detector.threshold", "quantity", "keV", "counting threshold(s)", "original_metadata", "D/threshold_energy"),
    Field("detector.dark", "map", "", "dark reference: file, sha256, applied", "", ""),
    Field("detector.gain", "map", "", "gain reference: file, sha256, applied", "", "D/flatfield, flatfield_applied"),
    Field("detector.mask", "map", "", "pixel mask: file, sha256, applied", "", "D/pixel_mask, pixel_mask_applied"),
    Field("detector.flip_y", "flag", "", "frames are stored upside down against the reader's view", "", ""),
    Field("detector.response", _T, "", "linear or gamma", "", ""),
    Field(
        "detector.counts_per_electron",
        "number",
        "",
        "counts per electron",
        "Signal.Noise_properties.Variance_linear_model.gain_factor",
        "",
    ),
    Field("diffraction.pixel_size", "quantity", "1/angstrom", "detector pixel", "axis scale", "image axes"),
    Field("diffraction.center", "pair", "px", "undiffracted beam (y, x)", "axis offset", "D/beam_center_y, _x"),
    Field("diffraction.ellipse", "map", "", "a, b, theta", "", ""),
    Field("diffraction.rotation", "quantity", "deg", "diffraction against scan", "", ""),
    Field("diffraction.flip", "flag", "", "diffraction mirrored against scan", "", ""),
    Field("stage.tilt_alpha", "quantity", "deg", "alpha tilt", "T.Stage.tilt_alpha", "N/stageID/tilt1"),
    Field("stage.tilt_beta", "quantity", "deg", "beta tilt", "T.Stage.tilt_beta", "N/stageID/tilt2"),
    Field("stage.position", "quantity", "um", "stage x, y, z", "T.Stage.x, y, z (mm)", "N/stageID/position"),
    Field("dose", "quantity", "e/angstrom^2", "electron dose", "derived", "O/dose_rate x dwell"),
    Field("eels.collection_angle", "quantity", "mrad", "collection semi-angle", "T.Detector.EELS.collection_angle", ""),
    Field("eels.aperture", "quantity", "mm", "entrance aperture", "T.Detector.EELS.aperture_size", ""),
    Field("eds.live_time", "quantity", "s", "live time", "T.Detector.EDS.live_time", ""),
    Field("eds.real_time", "quantity", "s", "real time", "T.Detector.EDS.real_time", ""),
    Field("eds.elevation", "quantity", "deg", "take-off elevation", "T.Detector.EDS.elevation_angle", ""),
    Field("eds.azimuth", "quantity", "deg", "azimuth", "T.Detector.EDS.azimuth_angle", ""),
    Field("eds.energy_resolution", "quantity", "eV", "FWHM at Mn Ka", "T.Detector.EDS.energy_resolution_MnKa", ""),
)

BY_KEY: dict[str, Field] = {field.key: field for field in FIELDS}
#: First parts of all record keys: the sections of a sidecar that belong to the record.
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(field.key.split(".")[0] for field in FIELDS))

Record = dict[str, Any]


def field_of(key: str) -> Field:
    """Return the field with a key.

    Raises
    ------
    MetadataError
        There is no such key; the nearest one is suggested.
    """
    if key in BY_KEY:
        return BY_KEY[key]
    near = suggest(key, list(BY_KEY))
    if near is None:
        last = key.rsplit(".", 1)[-1]
        near = next((k for k in BY_KEY if k.rsplit(".", 1)[-1] == last), None)
    raise MetadataError(
        f"unknown metadata key '{key}'",
        code=Code.METADATA_KEY,
        hint=f"did you mean {near}?" if near else "`emdvc fields` lists every key",
    )


def get(record: Record, key: str) -> Any:
    """Return what stands at a dotted key, or None: a Quantity where the leaf is one."""
    node: Any = record
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return Quantity.from_dict(node) if is_quantity(node) else node


def quantity(record: Record, key: str) -> Quantity | None:
    """Return the quantity at a key, or None when the record does not hold one.

    Raises
    ------
    MetadataError
        Something else than a quantity stands there.
    """
    value = get(record, key)
    if value is None or isinstance(value, Quantity):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Quantity(value, BY_KEY[key].unit if key in BY_KEY else "")
    raise MetadataError(
        f"{key} is not a quantity",
        evidence=f"found {value!r}",
        hint=f"emdvc add FILE --set '{key}=1 {BY_KEY[key].unit if key in BY_KEY else ''}'".rstrip(),
    )


def put(record: Record, key: str, value: Any) -> None:
    """Set what stands at a dotted key, in place; a Quantity is stored as its mapping, a tuple as a list."""
    node = record
    *parents, last = key.split(".")
    for part in parents:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    if isinstance(value, Quantity):
        value = value.to_dict()
    elif isinstance(value, tuple):
        value = list(value)
    node[last] = value


def leaves(record: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (dotted key, value) of a record, quantities as one leaf, in sorted order."""
    for name in sorted(record):
        node, key = record[name], f"{prefix}{name}"
        if is_quantity(node):
            yield key, Quantity.from_dict(node)
        elif isinstance(node, dict) and node:
            yield from leaves(node, f"{key}.")
        else:
            yield key, node


def parse_value(key: str, text: str, origin: Origin = Origin.USER) -> Any:
    """Return what a person typed for a key, checked against the field table.

    Raises
    ------
    MetadataError
        Unknown key, wrong unit, or a value that the field cannot hold.
    """
    field = field_of(key)
    text = text.strip()
    if text.lower() in ("null", "none", ""):
        return None
    match field.kind:
        case "quantity" | "pair":
            return _parse_quantity(field, text, origin)
        case "number" | "integer":
            try:
                return int(text) if field.kind == "integer" else float(text)
            except ValueError as error:
                raise MetadataError(f"{key} is a number", evidence=f"got '{text}'") from error
        case "flag":
            if text.lower() not in ("true", "false", "yes", "no"):
                raise MetadataError(f"{key} is true or false", evidence=f"got '{text}'")
            return text.lower() in ("true", "yes")
        case "list":
            parts = (
                [part.strip() for part in text.strip("[]").replace("x", ",").split(",")]
                if key.endswith("shape")
                else [part.strip() for part in text.strip("[]").split(",")]
            )
            return [int(part) if part.isdigit() else part for part in parts if part]
        case "map":
            raise MetadataError(
                f"{key} holds several values", hint=f"edit them in the sidecar file, under {key.replace('.', ': ')}:"
            )
        case _:
            return text


def _parse_quantity(field: Field, text: str, origin: Origin) -> Quantity:
    value = Quantity.parse(text, unit=field.unit, origin=origin)
    in_pixels = field.key == "diffraction.center"
    angular = field.key == "diffraction.pixel_size" and units.compatible(value.unit, "mrad")
    if not angular and not units.compatible(value.unit, field.unit):
        raise MetadataError(
            f"{field.key} is given in {field.unit}, not in {value.unit}",
            code=Code.METADATA_UNIT,
            hint=f"write it as in {field.key}={'128,128px' if in_pixels else '1' + field.unit.removeprefix('1')}",
        )
    if field.kind == "pair" and len(value.values) == 1 and not in_pixels:
        value = Quantity((value.values[0], value.values[0]), value.unit, value.origin)
    if in_pixels and len(value.values) != 2:
        raise MetadataError("diffraction.center is a pair (y, x)", evidence=f"got '{text}'", hint="as in 128.5,127px")
    return value


def check(record: Record) -> None:
    """Check that every quantity of a record has the unit that its field can be given in.

    Raises
    ------
    MetadataError
        A quantity measures something else than its field.
    """
    for key, value in leaves(record):
        field = BY_KEY.get(key)
        if field is None or not isinstance(value, Quantity) or field.kind not in ("quantity", "pair"):
            continue
        if value.unit == field.unit:
            continue
        angular = key == "diffraction.pixel_size" and units.compatible(value.unit, "mrad")
        if not angular and not units.compatible(value.unit, field.unit):
            raise MetadataError(
                f"{key} is given in {field.unit}, not in '{value.unit}'", code=Code.METADATA_UNIT, evidence=str(value)
            )
