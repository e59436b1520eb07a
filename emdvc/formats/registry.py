"""Which reader is made for a file, which files belong to it, and opening it.

A file is recognised by its content first, by its extension second; what stays open is asked of the person. Importing
this module imports no reader, and no package that reads.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault, FormatError, suggest
from emdvc.formats.contract import Opened, Reader, ReadOptions, Variable
from emdvc.formats.paths import is_store, main_file, must_exist, split_inner
from emdvc.formats.readers.table import NATIVE, ReaderInfo, readers

__all__ = ["ReaderInfo", "find", "is_store", "main_file", "open_file", "readers", "split_inner", "unit"]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def find(path: Path, options: ReadOptions | None = None) -> Reader:
    """Return the reader that is made for a file.

    Raises
    ------
    FormatError
        No reader knows the file, several claim it, or the one that does is not installed.
    """
    options = options or ReadOptions()
    must_exist(path)
    if options.reader is not None:
        return _load(_by_name(options.reader), path)
    if options.inner is not None and _is_hdf5(path):
        return _load(_by_name("hdf5"), path)
    if options.shape is not None and options.dtype is not None:
        return _load(_by_name("raw"), path)
    claimed = _claims(NATIVE, path)
    if len(claimed) == 1:
        return claimed[0]
    if len(claimed) > 1:
        raise _ambiguous(path, [reader.name for reader in claimed])
    return _by_extension(path)


def unit(path: Path, options: ReadOptions | None = None) -> tuple[Path, ...]:
    """Return every file of the set that a file belongs to, the file itself first; a directory is one unit.

    Raises
    ------
    FormatError
        No reader knows the file.
    """
    if path.is_dir():
        return (path,)
    return find(path, options).unit(path)


def open_file(path: Path | str, options: ReadOptions | None = None) -> Opened:
    """Open a file, a Zarr store, the directory of a set, or ``file.h5::/path/inside``.

    Scan shape, dimensions and signal that the options name are applied, known faults of readers corrected. The arrays
    are still lazy; when reading one of them fails, the error names the file.

    Raises
    ------
    FormatError
        The file is unknown, truncated or damaged, needs a package that is not installed, or an option.
    DataMissingError
        The bytes are recorded but not here.
    """
    from emdvc.formats import reshape
    from emdvc.formats.corrections import apply as corrected
    from emdvc.formats.views import Guarded

    options = options or ReadOptions()
    path, inner = split_inner(path)
    if inner is not None:
        from dataclasses import replace

        options = replace(options, inner=inner)
    must_exist(path)
    start = main_file(path) if path.is_dir() and not is_store(path) else path
    reader = find(start, options)
    opened = _guarded(reader, start, options)
    try:
        opened.variables = tuple(
            Variable(v.name, v.dims, Guarded(v.array, str(path)), v.unit) for v in opened.variables
        )
        opened = reshape.apply(opened, options)
        return corrected(opened, start, reader.name)
    except BaseException:
        opened.close()
        raise


def _guarded(reader: Reader, path: Path, options: ReadOptions) -> Opened:
    try:
        return reader.open(path, options)
    except EmdvcError:
        raise
    except PermissionError as error:
        raise EnvironmentFault(f"{path} may not be read", evidence=str(error)) from error
    except ImportError as error:
        raise _missing(path, reader.name, str(error.name or error), reader.extra) from error
    except Exception as error:  # a foreign reader may raise anything at a broken file, a MemoryError too
        message = " ".join(str(error).split())[:300]
        raise FormatError(
            f"{path} cannot be read by the reader '{reader.name}': it is truncated, damaged or of another kind",
            evidence=f"{type(error).__name__}: {message}",
            hint="compare its size with the original; `emdvc formats` lists the readers, --reader NAME takes another",
        ) from error


def _by_name(name: str) -> ReaderInfo:
    table = {info.name: info for info in readers()}
    if name in table:
        return table[name]
    near = suggest(name, list(table))
    raise FormatError(
        f"there is no reader '{name}'",
        code=Code.FORMAT_UNKNOWN,
        hint=f"did you mean --reader {near}?" if near else "`emdvc formats` lists them",
    )


def _load(info: ReaderInfo, path: Path) -> Reader:
    if not info.installed:
        from importlib.util import find_spec

        absent = next(package for package in info.packages if find_spec(package) is None)
        raise _missing(path, info.name, absent, info.extra)
    module = importlib.import_module(info.module)
    found: Any = getattr(module, info.attribute) if info.attribute else None
    if found is None:
        found = next(reader for reader in module.READERS if reader.name == info.name)
    reader: Reader = found
    return reader


def _claims(table: tuple[ReaderInfo, ...], path: Path) -> list[Reader]:
    found = []
    for info in table:
        if info.installed:
            reader = _load(info, path)
            if reader.claims(path):
                found.append(reader)
        elif path.suffix.lower() in info.extensions and info.name in ("tiff", "mrc"):
            raise _missing(path, info.name, info.packages[0], info.extra)
    return found


def _by_extension(path: Path) -> Reader:
    suffix = path.suffix.lower()
    foreign = _foreign_claims(path, suffix)
    if len(foreign) == 1:
        return _load(_by_name(foreign[0]), path)
    if len(foreign) > 1:
        raise _ambiguous(path, foreign)
    if _is_hdf5(path):
        return _load(_by_name("hdf5"), path)
    named = [info for info in readers() if suffix in info.extensions and info.name not in ("hdf5", "emd1", "dectris")]
    if len(named) == 1:
        return _load(named[0], path)
    if named:
        raise _ambiguous(path, [info.name for info in named])
    raise _unknown(path, suffix)


def _foreign_claims(path: Path, suffix: str) -> list[str]:
    """Return the formats of RosettaSciIO's that the file's content is of; installed or not: an error names it."""
    from emdvc.formats.readers.rosettasciio_specs import SPECS

    if not path.is_file():
        return []
    known = [spec for spec in SPECS if suffix in spec.extensions]
    if not known and not any(suffix in info.extensions for info in NATIVE):
        with path.open("rb") as file:
            # a zip archive is one of many things: only its extension can tell
            known = [] if file.read(4) == b"PK\x03\x04" else list(SPECS)
    found = []
    for spec in known:
        try:
            if spec.claims(path):
                found.append(spec.name)
        except OSError:
            continue
    return found


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # a user block of 512, 1024, ... bytes may come first
            for start in (0, 512, 1024, 2048):
                file.seek(start)
                if file.read(8) == HDF5_MAGIC:
                    return True
    except OSError:
        return False
    return False


def _ambiguous(path: Path, names: list[str]) -> FormatError:
    return FormatError(
        f"several readers claim {path}",
        code=Code.FORMAT_AMBIGUOUS,
        evidence=f"they are {', '.join(sorted(names))}",
        hint=f"--reader {sorted(names)[0]}, or another of them",
    )


def _missing(path: Path, reader: str, package: str, extra: str | None) -> FormatError:
    return FormatError(
        f"reading {path.name} needs a package that is not installed",
        code=Code.READER_MISSING,
        evidence=f"the reader '{reader}' needs {package}",
        hint=f"pip install 'emdvc[{extra or 'formats'}]'",
    )


def _unknown(path: Path, suffix: str) -> FormatError:
    near = suggest(suffix, sorted({ext for info in readers() for ext in info.extensions})) if suffix else None
    return FormatError(
        f"no reader knows {path}",
        code=Code.FORMAT_UNKNOWN,
        evidence=(f"the extension {suffix} is unknown" if suffix else "it has no extension")
        + " and its first bytes are those of no known format",
        hint=(f"is it a {near} file? " if near else "")
        + "--reader NAME takes one of `emdvc formats`; headerless numbers need --shape, --dtype and --offset",
    )
