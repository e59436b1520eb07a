"""The one module that imports RosettaSciIO (GPL-3.0-or-later, extra ``formats``): a file through one of its plugins."""

from __future__ import annotations

import logging
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, EmdvcError, FormatError
from emdvc.formats.arrays import DaskArray, MemoryArray
from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region
from emdvc.formats.readers.rosettasciio_files import head
from emdvc.formats.readers.rosettasciio_mapping import cut_folder, without_folder
from emdvc.formats.readers.rosettasciio_signals import to_opened
from emdvc.formats.readers.rosettasciio_specs import SPECS, Spec
from emdvc.formats.readers.table import version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Bytes of the pieces that an array is read in, about.
PIECE = 8 << 20


class RosettaReader:
    """Reader of one format through RosettaSciIO.

    Parameters
    ----------
    spec
        Row of the table of formats.
    """

    licence = "GPL-3.0-or-later"
    extra = "formats"

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.name = spec.name
        self.formats = spec.formats
        self.extensions = spec.extensions
        self.lazy = spec.lazy
        self.packages = spec.packages

    def claims(self, path: Path) -> bool:
        """Say whether the file is of this format, by its first bytes or its structure."""
        try:
            return path.is_file() and self.spec.claims(path)
        except OSError:
            return False

    def unit(self, path: Path) -> tuple[Path, ...]:
        """Return every file of the set that `path` belongs to, `path` first."""
        return self.spec.unit(path)

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the file.

        Raises
        ------
        FormatError
            RosettaSciIO or a package that it needs is not installed; a file of the set is missing; the file is
            truncated, damaged or of a kind that the plugin does not read.
        """
        start = self._start(path)
        if not self.claims(start):
            raise FormatError(
                f"{start} is not of the format {self.formats}",
                evidence=f"it starts with {head(start, 16)!r}",
                hint="`emdvc formats` lists the readers; without --reader the right one is chosen by content",
            )
        if self.spec.needs and not any(p.suffix.lower() == self.spec.needs for p in self.unit(start)):
            raise FormatError(
                f"the {self.spec.needs} file of {start} is missing",
                evidence="beside it there is no file of the name that the set needs",
                hint=f"put it into {start.parent}; the files of a set must keep their names",
            )
        extra, header = dict(self.spec.options), None
        if self.name == "merlin":
            from emdvc.formats.readers.merlin_header import read_header

            header = read_header(start)
            # the plugin would map the file to look at the times of all frames
            scan = None if options.scan_shape else header.scan_shape()
            extra["navigation_shape"] = scan[::-1] if scan else (header.frames,)
        notes: list[str] = []
        dictionaries = self._read(start, extra, notes)
        arrays: list[PluginArray | OnceArray] = []

        def to_array(data: Any, shape: tuple[int, ...], navigation: int) -> LazyArray:
            if not hasattr(data, "compute"):
                return MemoryArray(data)
            array = PluginArray(data, navigation) if self.lazy else OnceArray(data)
            arrays.append(array)
            return array

        opened = to_opened(without_folder(dictionaries, start), to_array, notes, str(start))
        opened.close = lambda: _release(arrays)
        if header is not None:
            header.put(opened.record, scanned="x" in opened.axes or options.scan_shape is not None)
            rest = header.frames - _product(opened.variables[0].array.shape[:-2])
            if rest:
                notes.append(f"the last scan line is incomplete: its {rest} frames are left out")
        if notes:
            opened.vendor["reader_warnings"] = [cut_folder(note, start) for note in dict.fromkeys(notes)]
        opened.reader = f"rosettasciio.{self.spec.plugin}@{version_of('rosettasciio')}"
        return opened

    def _start(self, path: Path) -> Path:
        if not self.spec.main or path.suffix.lower() in self.spec.main:
            return path
        return next((p for p in self.unit(path) if p.suffix.lower() in self.spec.main), path)

    def _read(self, path: Path, extra: dict[str, Any], notes: list[str]) -> Sequence[dict[str, Any]]:
        plugin = self._plugin(path)
        try:
            with _collected(notes):
                found = _call(plugin, path, {"lazy": True, **extra})
        except (EmdvcError, MemoryError):
            raise
        except ImportError as error:
            raise _missing(path, self.name, str(error.name or error)) from error
        except Exception as error:  # the plugin may raise anything at a broken file
            raise FormatError(
                f"{path} cannot be read as {self.formats}: it is truncated, damaged or of a kind that is not known",
                evidence=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                hint="compare its size with the original; is a file of its set missing?",
            ) from error
        if not found:
            raise FormatError(
                f"{path} holds no data that can be read as {self.formats}",
                evidence=notes[-1] if notes else "the plugin found no signal",
            )
        return found

    def _plugin(self, path: Path) -> Any:
        import importlib

        try:
            with _collected([]):
                return importlib.import_module(f"rsciio.{self.spec.plugin}")
        except ImportError as error:
            raise _missing(path, self.name, str(error.name or error)) from error


class PluginArray(DaskArray):
    """A plugin's dask array, read in whole frames or spectra.

    The plugins map the file anew for each block and let it go with the block, so that a long read holds no more of the
    file than one block (measured: 200 MiB in all for a .mib of 1.3 GiB).
    """

    def __init__(self, array: Any, navigation: int) -> None:
        super().__init__(array)
        self.chunks = pieces(self.shape, self.dtype.itemsize, navigation)

    def close(self) -> None:
        """Let the file go."""
        self._array = None


def _call(plugin: Any, path: Path, arguments: dict[str, Any]) -> Sequence[dict[str, Any]]:
    try:
        found: Sequence[dict[str, Any]] = plugin.file_reader(str(path), **arguments)
    except Exception as error:
        # the frames of the plugin hold the file that it left open: it is closed here, while warnings are collected
        traceback.clear_frames(error.__traceback__)
        raise
    return found


class OnceArray:
    """An array that its plugin decodes only as a whole: done at the first use, then kept in memory."""

    def __init__(self, array: Any) -> None:
        import numpy as np

        self._array = array
        self._held: NDArray[Any] | None = None
        self._lock = threading.Lock()
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        self.chunks: tuple[int, ...] = pieces(self.shape, self.dtype.itemsize, max(0, len(self.shape) - 1))

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        import numpy as np

        with self._lock:
            if self._held is None:
                self._held = np.asarray(self._array.compute(scheduler="synchronous"))
        return np.array(self._held[region], dtype=self.dtype, order="C")

    def close(self) -> None:
        """Let the file and what was decoded of it go."""
        self._array = self._held = None


def _release(arrays: list[PluginArray | OnceArray]) -> None:
    import gc

    for array in arrays:
        array.close()
    # dask's graphs refer to themselves: only a collection closes the file that they hold open
    gc.collect()


def pieces(shape: tuple[int, ...], itemsize: int, navigation: int) -> tuple[int, ...]:
    """Return the pieces of an array: whole frames or spectra, as many along the scan as make about :data:`PIECE` bytes.

    Parameters
    ----------
    shape
        Of the array, probe positions first.
    itemsize
        Bytes of one number.
    navigation
        Number of leading axes that run over probe positions or exposures.
    """
    chunks = list(shape)
    held = itemsize * _product(shape[navigation:])
    for axis in range(navigation - 1, -1, -1):
        chunks[axis] = max(1, min(shape[axis], PIECE // max(held, 1)))
        held *= chunks[axis]
    return tuple(chunks)


def _product(numbers: Sequence[int]) -> int:
    found = 1
    for n in numbers:
        found *= n
    return found


_ITS_OWN = (ResourceWarning, DeprecationWarning, PendingDeprecationWarning)


class _Notes(logging.Handler):
    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(" ".join(record.getMessage().split())[:300])


@contextmanager
def _collected(notes: list[str]) -> Iterator[None]:
    """Collect what RosettaSciIO warns of and logs; nothing of it reaches the terminal.

    Its own log handler writes to stdout, where only data belongs.
    """
    logger = logging.getLogger("rsciio")
    before, propagate = logger.handlers[:], logger.propagate
    handler = _Notes(notes)
    logger.handlers, logger.propagate = [handler], False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                for warning in caught:
                    # a file that the plugin forgot to close, or a call that NumPy will drop, says nothing of the data
                    if not issubclass(warning.category, _ITS_OWN):
                        notes.append(" ".join(str(warning.message).split())[:300])
    finally:
        logger.handlers, logger.propagate = before, propagate


def _missing(path: Path, reader: str, package: str) -> FormatError:
    return FormatError(
        f"reading {path.name} needs a package that is not installed",
        code=Code.READER_MISSING,
        evidence=f"the reader '{reader}' needs {package}",
        hint="pip install 'emdvc[formats]'",
    )


READERS: tuple[RosettaReader, ...] = tuple(RosettaReader(spec) for spec in SPECS)
