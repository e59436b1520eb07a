"""What ``emdvc add`` learns of large files, so that parts can be fetched alone: checksums and places of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault
from emdvc.formats import registry
from emdvc.formats.contract import Opened
from emdvc.formats.placement import placements
from emdvc.formats.strides import Placement
from emdvc.history import blocks, yaml_files
from emdvc.history.adding_files import Source
from emdvc.history.blocks import BlockSums, Ranges, Summing
from emdvc.history.progress import Progress


def sums_to_make(source: Source) -> dict[Path, Summing]:
    """Return what makes the checksums of those files that are worth it: the large ones; of a Zarr store none."""
    if source.start.is_dir() and registry.is_store(source.start):
        return {}
    sizes = {file: file.stat().st_size for file in source.files}
    return {file: Summing(size) for file, size in sizes.items() if size >= blocks.LEAST_FILE}


def places(source: Source, opened: Opened) -> dict[str, Placement]:
    """Return where the numbers of each array of an open dataset lie; nothing where no file is large."""
    if not sums_to_make(source):
        return {}
    return placements(opened, {file: _name(source, file) for file in source.files})


def named(source: Source, made: Mapping[Path, Summing]) -> dict[str, BlockSums]:
    """Return the checksums by the files' names in the dataset."""
    return {_name(source, file): summing.result() for file, summing in made.items()}


def _name(source: Source, file: Path) -> str:
    return source.name(file) if source.directory else blocks.ALONE


def lacking(source: Source) -> bool:
    """Say whether data that is recorded has large files of which no checksums are known."""
    return bool(sums_to_make(source)) and blocks.read(_pointer(source)) is None


def known(source: Source, opened: Opened, progress: Progress) -> Ranges:
    """Return what is known of data that is recorded; checksums that are not known yet are made: its bytes are read.

    Parameters
    ----------
    source
        The dataset, byte for byte as it is recorded.
    opened
        The same, open.

    Raises
    ------
    EnvironmentFault
        The file is not what was recorded.
    """
    before = blocks.read(_pointer(source))
    files = before.files if before is not None else _sums(source, progress)
    return Ranges(files, places(source, opened))


def _sums(source: Source, progress: Progress) -> dict[str, BlockSums]:
    made = sums_to_make(source)
    recorded = blocks.recorded_md5(yaml_files.read(_pointer(source)))
    with progress(f"reading {source.target.name}", sum(file.stat().st_size for file in made)) as advance:
        for file, summing in made.items():
            digest = hashlib.md5(usedforsecurity=False)
            with file.open("rb", buffering=0) as reading:
                while part := reading.read(4 << 20):
                    digest.update(part)
                    summing.update(part)
                    advance(len(part))
            # of a directory DVC was asked before whether it is unchanged: the list of its files is not read again
            if not source.directory and digest.hexdigest() != recorded:
                raise EnvironmentFault(
                    f"{file.name} is not what was recorded",
                    code=Code.RAW_CHANGED,
                    evidence=f"its md5 is {digest.hexdigest()}, not {recorded}",
                    hint="dvc status tells what changed",
                )
    return named(source, made)


def _pointer(source: Source) -> Path:
    return source.target.with_name(source.target.name + ".dvc")
