"""The readers that emdvc brings, as a table: listing them, and choosing one by extension, imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """What is known of a reader before it is imported.

    Parameters
    ----------
    name
        What ``--reader`` takes.
    formats
        What it reads, for a person.
    extensions
        In lower case, with the dot.
    lazy
        Whether only what is asked for is read from the file.
    licence
        SPDX identifier of the code that reads.
    packages
        Modules that must be importable.
    extra
        emdvc's extra that installs them; None where emdvc itself does.
    module, attribute
        Where the :class:`emdvc.formats.contract.Reader` is; an empty attribute means the member of the module's
        ``READERS`` with this name.
    """

    name: str
    formats: str
    extensions: tuple[str, ...]
    lazy: bool = True
    licence: str = "Apache-2.0"
    packages: tuple[str, ...] = ()
    extra: str | None = None
    module: str = ""
    attribute: str = "READER"

    @property
    def installed(self) -> bool:
        """Whether the packages that it needs are here."""
        return all(find_spec(package) is not None for package in self.packages)


_HERE = "emdvc.formats.readers"
NATIVE: tuple[ReaderInfo, ...] = (
    ReaderInfo("zarr", "Zarr 2 and 3 (group or array)", (".zarr",), packages=("zarr",), module=f"{_HERE}.zarr"),
    ReaderInfo(
        "hspy", "HyperSpy .hspy and .zspy", (".hspy", ".zspy"), packages=("h5py", "zarr"), module=f"{_HERE}.hspy"
    ),
    ReaderInfo(
        "emd1",
        "EMD 1.0 (NCEM, py4DSTEM)",
        (".emd", ".h5", ".hdf5"),
        packages=("h5py",),
        module=f"{_HERE}.emd1",
    ),
    ReaderInfo(
        "dectris",
        "Dectris Arina, Quadro, Eiger: master and data files",
        (".h5",),
        packages=("h5py", "hdf5plugin"),
        extra="formats",
        module=f"{_HERE}.dectris",
    ),
    ReaderInfo(
        "hdf5",
        "any HDF5 by path: file.h5::/entry/data",
        (".h5", ".hdf5", ".nxs", ".hdf", ".he5"),
        packages=("h5py",),
        module=f"{_HERE}.hdf5",
    ),
    ReaderInfo(
        "tiff",
        "TIFF, OME-TIFF, ImageJ stacks",
        (".tif", ".tiff"),
        packages=("tifffile",),
        extra="formats",
        module=f"{_HERE}.tiff",
    ),
    ReaderInfo(
        "mrc",
        "MRC with SerialEM .mdoc and IMOD .rawtlt",
        (".mrc", ".mrcs", ".st", ".ali", ".rec", ".map", ".preali"),
        packages=("mrcfile",),
        extra="formats",
        module=f"{_HERE}.mrc",
    ),
    ReaderInfo("npy", "NumPy .npy", (".npy",), packages=("numpy",), module=f"{_HERE}.npy"),
    ReaderInfo(
        "raw",
        "headerless numbers (shape and number type given)",
        (".raw", ".bin", ".dat"),
        packages=("numpy",),
        module=f"{_HERE}.raw",
    ),
)


def readers() -> tuple[ReaderInfo, ...]:
    """Return every reader that emdvc knows, installed or not; nothing is imported to find out."""
    return (*NATIVE, *_foreign())


@lru_cache(maxsize=1)
def _foreign() -> tuple[ReaderInfo, ...]:
    """Return the table of the readers that RosettaSciIO provides."""
    from emdvc.formats.readers import rosettasciio_specs

    module = "emdvc.formats.readers.rosettasciio"
    return tuple(
        ReaderInfo(
            name=spec.name,
            formats=spec.formats,
            extensions=spec.extensions,
            lazy=spec.lazy,
            licence="GPL-3.0-or-later",
            packages=spec.packages,
            extra="formats",
            module=module,
            attribute="",
        )
        for spec in rosettasciio_specs.SPECS
    )


def native(name: str) -> ReaderInfo:
    """Return the row of one of emdvc's own readers."""
    return next(info for info in NATIVE if info.name == name)


class NativeReader:
    """Base of emdvc's own readers: what the contract asks for by attribute is the table's."""

    def __init__(self, name: str) -> None:
        info = native(name)
        self.name = info.name
        self.formats = info.formats
        self.extensions = info.extensions
        self.lazy = info.lazy
        self.licence = info.licence
        self.packages = info.packages
        self.extra = info.extra

    def unit(self, path: Path) -> tuple[Path, ...]:
        """Return the file or the store alone: what most formats are."""
        return (path,)


def version_of(package: str) -> str:
    """Return the installed version of a package, for ``source.reader``."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
