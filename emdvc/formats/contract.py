"""What a reader is: the one contract between a file format and the rest of emdvc."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emdvc.model.axis import Axis
from emdvc.model.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emdvc.formats.store_source import StoreSource

Region = tuple[slice, ...]


class LazyArray(Protocol):
    """An array that is still in its file.

    ``read`` may be called from several threads at once. What it returns is C-contiguous and in native byte order:
    memory of its own, or a read-only view of what is in memory anyway.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples along each dimension."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type, in native byte order."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the pieces that are read whole at least cost (a Zarr chunk, a frame of a raw file)."""

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region; every slice has a start, a stop and step 1."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a file, with the names of its dimensions (slowest first) and the unit of its values."""

    name: str
    dims: tuple[str, ...]
    array: LazyArray
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a person may have to say because the file does not.

    Parameters
    ----------
    reader
        Name of the reader to use, where several claim the file.
    scan_shape
        Probe positions (ny, nx).
    inner
        Path inside the file, as in ``file.h5::/entry/data``.
    signal
        Name of the array that is meant, where a file holds several.
    shape, dtype, offset
        Of a headerless raw file: shape of the whole array, number type with byte order (``<u2``), bytes to skip.
    dims
        Names of the main array's dimensions, slowest first, where the file does not say them or says them wrong.
    store
        Where the files of a Zarr store come from that do not lie in its folder; no person says that.
    """

    reader: str | None = None
    scan_shape: tuple[int, int] | None = None
    inner: str | None = None
    signal: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    offset: int = 0
    dims: tuple[str, ...] | None = None
    store: StoreSource | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return only what was said, as plain values: the sidecar keeps it so that the file opens the same again."""
        said = {
            "reader": self.reader,
            "scan_shape": list(self.scan_shape) if self.scan_shape else None,
            "inner": self.inner,
            "signal": self.signal,
            "shape": list(self.shape) if self.shape else None,
            "dtype": self.dtype,
            "offset": self.offset or None,
            "dims": list(self.dims) if self.dims else None,
        }
        return {key: value for key, value in said.items() if value is not None}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> ReadOptions:
        """Return the options that a sidecar keeps."""
        scan = mapping.get("scan_shape")
        shape = mapping.get("shape")
        return cls(
            reader=mapping.get("reader"),
            scan_shape=(int(scan[0]), int(scan[1])) if scan else None,
            inner=mapping.get("inner"),
            signal=mapping.get("signal"),
            shape=tuple(int(n) for n in shape) if shape else None,
            dtype=mapping.get("dtype"),
            offset=int(mapping.get("offset") or 0),
            dims=tuple(str(name) for name in mapping["dims"]) if mapping.get("dims") else None,
        )


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Opened:
    """A file, open: its arrays still lazy, its metadata in emdvc's words.

    Parameters
    ----------
    variables
        The arrays; the first is the main one.
    axes
        Every dimension that a variable uses, by name. A dimension that the record calibrates
        (:data:`emdvc.model.axis.CALIBRATED_BY`) carries ``calibration`` and no scale; its scale stands in `record`.
    record
        Acquisition record, nested, as in a sidecar.
    vendor
        The vendor's whole metadata tree: plain values, large arrays as ``{shape, dtype, sha256}``.
    reader
        ``name@version`` of what read it.
    close
        Releases the file.
    """

    variables: tuple[Variable, ...]
    axes: dict[str, Axis]
    record: Record = field(default_factory=dict)
    vendor: dict[str, Any] = field(default_factory=dict)
    reader: str = ""
    close: Callable[[], None] = _nothing

    def variable(self, name: str | None = None) -> Variable:
        """Return the variable with a name, or the main one."""
        if name is None:
            return self.variables[0]
        from emdvc.errors import Code, FormatError, suggest

        for variable in self.variables:
            if variable.name == name:
                return variable
        names = [variable.name for variable in self.variables]
        near = suggest(name, names)
        raise FormatError(
            f"there is no signal '{name}' in this file",
            code=Code.NOT_FOUND,
            evidence=f"it holds {', '.join(names)}",
            hint=f"did you mean --signal {near}?" if near else f"--signal {names[0]}",
        )


class Reader(Protocol):
    """One file format (or one family that one package reads).

    A reader module is imported only when a file needs it, and imports its packages inside ``open``.
    """

    name: str
    formats: str
    extensions: tuple[str, ...]
    lazy: bool
    licence: str
    packages: tuple[str, ...]
    extra: str | None

    def claims(self, path: Path) -> bool:
        """Say, by its first bytes or its structure, whether this reader is made for the file. Cheap; never raises."""

    def unit(self, path: Path) -> tuple[Path, ...]:
        """Return every file of the set that `path` belongs to, `path` first; only `path` for a single file."""

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the file.

        Raises
        ------
        FormatError
            The file is truncated or damaged, or needs an option (the error names it).
        """
