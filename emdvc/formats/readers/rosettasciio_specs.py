"""The formats that are read through RosettaSciIO, as a table: listing them and recognising a file imports no reader.

Left to others: what emdvc reads itself (HyperSpy, Zarr, EMD 1.0, Dectris, TIFF, MRC, NumPy), formats of other fields,
and NeXus, which has no one layout to map to signals (``file.nxs::/path`` reads it as HDF5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emdvc.formats.readers import rosettasciio_files as files

Claims = Callable[[Path], bool]
Unit = Callable[[Path], tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class Spec:
    """One format.

    Parameters
    ----------
    name
        What ``--reader`` takes.
    plugin
        RosettaSciIO's module.
    formats
        What it reads, for a person.
    extensions
        In lower case, with the dot.
    claims
        Says by a file's first bytes or its structure whether it is of this format.
    lazy
        Whether only what is asked for is read from the file; otherwise an array is decoded whole at its first use.
    unit
        Finds every file of the set that a file belongs to, the file itself first.
    main
        Of the set, the file that the plugin wants; the one that was named where empty.
    needs
        Extension of the file without which the set cannot be read; empty where there is none.
    packages
        Modules that must be importable.
    options
        Further arguments of the plugin.
    """

    name: str
    plugin: str
    formats: str
    extensions: tuple[str, ...]
    claims: Claims
    lazy: bool = True
    unit: Unit = files.alone
    main: tuple[str, ...] = ()
    needs: str = ""
    packages: tuple[str, ...] = ("rsciio",)
    options: Mapping[str, Any] = field(default_factory=dict)


SPECS: tuple[Spec, ...] = (
    Spec(
        "merlin",
        "quantumdetector",
        "Quantum Detectors Merlin .mib with .hdr",
        (".mib",),
        files.starts(0, b"MQ1,"),
        unit=files.beside(".mib", ".hdr"),
        main=(".mib",),
    ),
    Spec(
        "blockfile",
        "blockfile",
        "NanoMEGAS ASTAR blockfile .blo",
        (".blo",),
        files.starts(0, b"IMGBLO"),
        packages=("rsciio", "skimage"),  # the plugin imports scikit-image for its writer
    ),
    Spec(
        "digitalmicrograph",
        "digitalmicrograph",
        "Gatan DigitalMicrograph .dm3, .dm4",
        (".dm3", ".dm4"),
        files.is_digitalmicrograph,
    ),
    Spec(
        "velox",
        "emd",
        "Thermo Fisher Velox .emd (images, EDS and EELS spectrum images)",
        (".emd",),
        files.is_velox,
        packages=("rsciio", "h5py", "sparse"),
    ),
    Spec(
        "tia",
        "tia",
        "FEI TIA .ser with .emi",
        (".emi", ".ser"),
        files.is_tia,
        lazy=False,
        unit=files.tia_set,
        main=(".emi",),
    ),
    Spec(
        "empad",
        "empad",
        "EMPAD .xml with .raw",
        (".xml",),
        files.is_empad,
        unit=files.empad_set,
        main=(".xml",),
        needs=".raw",
    ),
    Spec(
        "tvips",
        "tvips",
        "TVIPS .tvips (image stacks and scans, one file or several)",
        (".tvips",),
        files.is_tvips,
        unit=files.tvips_set,
    ),
    Spec(
        "bruker",
        "bruker",
        "Bruker Esprit .bcf (EDS map) and .spx (EDS spectrum)",
        (".bcf", ".spx"),
        files.is_bruker,
        lazy=False,
    ),
    Spec(
        "jeol",
        "jeol",
        "JEOL Analysis Station .asw, .pts (EDS map), .img, .map, .eds",
        (".asw", ".pts", ".img", ".map", ".eds"),
        files.is_jeol,
        unit=files.jeol_set,
        main=(".asw",),
        packages=("rsciio", "sparse"),
        # the plugin counts in uint8 unless told otherwise, and a channel with more than 255 counts starts again at 0
        options={"SI_dtype": "uint16"},
    ),
    Spec(
        "edax",
        "edax",
        "EDAX TEAM, Genesis .spd (map), .lsd (line), .spc (spectrum)",
        (".spd", ".lsd", ".spc"),
        files.is_edax,
        unit=files.beside(".spd", ".spc", ".ipr", ".lsd", ".csv"),
        main=(".spd", ".lsd"),
    ),
    Spec(
        "pantarhei",
        "pantarhei",
        "CEOS Panta Rhei .prz",
        (".prz",),
        files.starts(0, b"PK\x03\x04"),
        lazy=False,
    ),
    Spec(
        "ripple",
        "ripple",
        "Lispix ripple .rpl with .raw",
        (".rpl",),
        files.is_ripple,
        unit=files.beside(".rpl", ".raw"),
        main=(".rpl",),
        needs=".raw",
    ),
    Spec(
        "msa",
        "msa",
        "EMSA/MAS spectrum .msa, .emsa (ISO 22029)",
        (".msa", ".emsa", ".ems", ".mas"),
        files.starts(0, b"#FORMAT"),
        lazy=False,
        options={"lazy": False},
    ),
)

BY_NAME: dict[str, Spec] = {spec.name: spec for spec in SPECS}
