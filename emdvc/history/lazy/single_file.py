"""A recorded single file, or the files of a set, opened for a look."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from emdvc.formats.contract import Opened, ReadOptions
from emdvc.history.blocks import LEAST_FILE, parsed
from emdvc.history.lazy.recorded_dataset import RecordedDataset


def open_single_file(dataset: RecordedDataset, options: ReadOptions) -> Opened:
    """Open a recorded dataset that is no Zarr store; its ``close`` releases everything.

    What is here is opened by its reader. Of a large file that is not here, parts are fetched as they are read, where it
    is known in which places the numbers lie; else it is fetched whole, which a log message says before.

    Parameters
    ----------
    dataset
        Its files: of a single file one, of a set all.
    options
        How to read it.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        Its bytes are not to be had; it cannot be read.
    """
    from emdvc.history.lazy.placed_file import open_placed

    if not _here(dataset):
        placed = open_placed(dataset, options, lambda: _open_whole(dataset, options))
        if placed is not None:
            return placed
    return _open_whole(dataset, options)


def _here(dataset: RecordedDataset) -> bool:
    return all(dataset.arriving.here(md5) is not None for md5 in dataset.files.values())


def _open_whole(dataset: RecordedDataset, options: ReadOptions) -> Opened:
    """Open a dataset by its reader, from a folder in which its files lie under their own names."""
    from emdvc.formats import registry

    _say_before(dataset)
    here = dataset.arriving.wait(
        {md5: name for name, md5 in dataset.files.items()},
        {md5: dataset.beside(name) for name, md5 in dataset.files.items()},
    )
    place = dataset.project.journal_dir / "look"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    top = folder / dataset.path.name
    try:
        for name, md5 in dataset.files.items():
            target = top / name if dataset.directory else top
            target.parent.mkdir(parents=True, exist_ok=True)
            link(here[md5], target)
        opened = registry.open_file(top, options)
    except BaseException:
        remove(folder)
        raise
    release = opened.close

    def close() -> None:
        release()
        remove(folder)

    opened.close = close
    return opened


def _say_before(dataset: RecordedDataset) -> None:
    """Say that much is about to be fetched, and why."""
    size = dataset.record.size or 0
    if size < LEAST_FILE or _here(dataset) or any(dataset.beside(name).is_file() for name in dataset.files):
        return
    known = parsed(dataset.record.kept, dataset.record.md5) is not None
    why = (
        "its reader needs the whole file"
        if known or dataset.record.stage is not None
        else f"no checksums of its parts are known; `emdvc add {dataset.path}`, where the data is, makes them"
    )
    # shown on stderr unless a program that imports emdvc does otherwise with its log
    logging.getLogger("emdvc").warning("fetching %.1f MB for %s: %s", size / 1e6, dataset.name, why)


def link(source: Path, target: Path) -> None:
    """Let a file of the cache be seen under its own name: a hard link where the disk can, else a copy."""
    for how in (os.link, os.symlink) if os.name != "nt" else ():
        # on Windows a read-only file cannot be removed, and a hard link shares that mark with the cache's own file
        try:
            how(source, target)
            return
        except OSError:
            continue
    shutil.copyfile(source, target)
    with suppress(OSError):
        target.chmod(0o644)


def remove(folder: Path) -> None:
    """Remove a folder of such files."""
    shutil.rmtree(folder, ignore_errors=True)
