"""``emdvc pull``: whole datasets into the workspace; of one that is large, the part that is looked at.

A part is kept in DVC's cache, not in the dataset's folder: a store there that lacks chunks reads as zeros to every
program, and ``dvc add`` would record it as a smaller dataset. What opens data through emdvc finds the part by itself,
and fetches what is asked for beyond it; a later pull of the whole fetches only the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import Code, DataMissingError, UsageError, suggest
from emdvc.formats.contract import LazyArray, Opened, Region, Variable
from emdvc.formats.zarr_keys import keys_of
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.lazy import opening
from emdvc.history.lazy.recorded_dataset import RecordedDataset
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.pulling.selection import Selection
from emdvc.history.recorded import Recorded
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.history.verify.wanted_objects import kept_by_dvc

_PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".tif")
_NOTHING = Selection()


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of one dataset.

    Parameters
    ----------
    path
        Relative to the project.
    whole
        Whether all of it is here now, in the workspace.
    files, of
        Files that were asked for, and files that it has.
    fetched, size
        Files that were not here before, and their bytes (of a whole dataset, as far as known).
    """

    path: PurePosixPath
    whole: bool
    files: int
    of: int
    fetched: int
    size: int


def pull(
    project: Project,
    paths: Sequence[PurePosixPath] = (),
    *,
    part: Selection = _NOTHING,
    preview: bool = False,
    remote: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> list[Pulled]:
    """Fetch data from the remotes.

    Parameters
    ----------
    project
        The project.
    paths
        Datasets, or folders that hold some; none: all.
    part
        Which probe positions and detector pixels; nothing said: the whole, into the workspace.
    preview
        Only what tells what the data are: metadata, coordinates, pictures.
    remote
        Where from; by default where each dataset is kept.
    dry_run
        Only ask what would be fetched.
    progress
        Shows the bytes.

    Raises
    ------
    UsageError
        The part does not fit a dataset.
    DataMissingError
        A path names no dataset; something is on no remote, or corrupt there: all of it is named.
    EnvironmentFault
        A remote did not answer.
    """
    with Snapshot(project) as now:
        known = {entry.path: entry for entry in kept_by_dvc(now)}
        chosen = [known[path] for path in _chosen(known, paths)]
        # what was recorded where it lies stays there, unless it is asked for by name
        entries = [entry for entry in chosen if entry.md5 and (paths or entry.source is None)]
        described = set(now.datasets())
    if preview:
        pictures = [entry for entry in entries if entry.path.suffix.lower() in _PICTURES]
        stores = [entry for entry in entries if entry.is_directory and entry.path in described]
        found = [_part(project, entry, None, remote, dry_run, progress) for entry in stores]
        return [*found, *_whole(project, pictures, remote, dry_run, progress)]
    if part != _NOTHING:
        data = [entry for entry in entries if entry.path in described]
        if not data:
            raise UsageError("a part can be pulled of datasets only", hint="emdvc pull PATH --scan 0:64,0:64")
        return [_part(project, entry, part, remote, dry_run, progress) for entry in data]
    return _whole(project, entries, remote, dry_run, progress)


def _chosen(known: Mapping[PurePosixPath, Recorded], paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    if not paths:
        return sorted(known)
    found: dict[PurePosixPath, None] = {}
    for typed in paths:
        path = data_path(typed)
        holds = [one for one in sorted(known) if one == path or path in one.parents]
        if not holds:
            inside = next((one for one in known if one in path.parents), None)
            near = suggest(str(path), [str(one) for one in known])
            raise DataMissingError(
                f"no data {path} is recorded" if inside is None else f"{path} is a part of {inside}",
                code=Code.NOT_FOUND if inside is None else Code.PARTIAL,
                evidence=None if inside is None else "a folder that lacks files would be taken for the whole dataset",
                hint=f"emdvc pull {inside} --scan 0:64,0:64 fetches a part that is never taken for the whole"
                if inside is not None
                else f"did you mean {near}?"
                if near
                else "emdvc status lists what is not fetched",
            )
        found.update(dict.fromkeys(holds))
    return list(found)


def _whole(
    project: Project, entries: list[Recorded], remote: str | None, dry_run: bool, progress: Progress
) -> list[Pulled]:
    from dataclasses import replace

    from emdvc.history import edited
    from emdvc.history.protection import protect
    from emdvc.history.transfer.placing import fetch_and_place

    said = [replace(entry, remote=remote or entry.remote) for entry in entries]
    answers = [_whole_answer(project, entry, dry_run) for entry in said]
    if dry_run:
        return answers
    try:
        fetch_and_place(project, said, progress)
    finally:
        for entry in said:
            place = project.path(entry.path)
            if entry.stage is None and place.exists():
                if edited.of(place) is None:
                    protect(place)
                else:
                    edited.release(place)
    return answers


def _whole_answer(project: Project, entry: Recorded, dry_run: bool) -> Pulled:
    """Return what of a dataset the cache lacks; its list is looked at only where it is here already, or asked about."""
    from emdvc.history.dvc_manifest import manifest

    cache = cache_folder(project)
    files: dict[str, str] | None = {entry.path.name: entry.md5}
    if entry.is_directory:
        files = manifest(cache, entry.md5)
        if files is None and dry_run:
            files = dict(opening.dataset_at(project, entry.path, remote=entry.remote).files)
    if files is None:
        count = entry.files or 0
        return Pulled(entry.path, True, count, count, max(1, count), entry.size or 0)
    lacking = sum(not object_path(cache, md5).is_file() for md5 in files.values())
    size = round((entry.size or 0) * lacking / max(1, len(files)))
    return Pulled(entry.path, True, len(files), len(files), lacking, size)


def _part(
    project: Project,
    entry: Recorded,
    part: Selection | None,
    remote: str | None,
    dry_run: bool,
    progress: Progress,
) -> Pulled:
    """Fetch the files that a region of a dataset needs, or (without one) only its metadata."""
    dataset = opening.dataset_at(project, entry.path, remote=remote)
    cache = cache_folder(project)
    opened, _ = opening.opened(dataset)
    try:
        if not dataset.is_store:
            return _part_of_file(dataset, opened, part)
        names = dataset.files.keys() & _names(dataset, opened, part) if part is not None else set()
    finally:
        opened.close()
    wanted = {dataset.files[name]: name for name in names}
    lacking = {md5: name for md5, name in wanted.items() if not object_path(cache, md5).is_file()}
    size = _sizes(project, lacking, remote or entry.remote)
    if lacking and not dry_run:
        from emdvc.history.transfer.fetching import fetch

        fetch(project, lacking, dataset.name, remote=remote or entry.remote, size=size, progress=progress)
    metadata = sum(object_path(cache, md5).is_file() for name, md5 in dataset.files.items() if name not in names)
    count = len(names) if part is not None else metadata
    return Pulled(entry.path, False, count, len(dataset.files), len(lacking), size)


def _names(dataset: RecordedDataset, opened: Opened, part: Selection) -> set[str]:
    """Return the chunk files that hold a region of a store's arrays."""
    main = opened.variables[0]
    chosen = part.region(main.dims, main.array.shape, opened.axes, str(dataset.path))
    along = dict(zip(main.dims, chosen, strict=True))
    names: set[str] = set()
    for variable in opened.variables:
        region = chosen if variable is main else part.within(along, variable.dims, variable.array.shape)
        keys = keys_of(variable.array)
        names.update(keys.keys(region) if keys is not None else _all_of(dataset, variable))
    return names


def _all_of(dataset: RecordedDataset, variable: Variable) -> Iterable[str]:
    # an array whose chunk files are not known by name
    return [name for name in dataset.files if name.startswith(f"{variable.name}/")]


def _part_of_file(dataset: RecordedDataset, opened: Opened, part: Selection | None) -> Pulled:
    """Fetch the bytes of one file that hold a region."""
    fetched = 0
    for variable in opened.variables[:1] if part is not None else ():
        assert part is not None
        region = part.region(variable.dims, variable.array.shape, opened.axes, str(dataset.path))
        for row in _rows(region, variable.array):
            prefetch = getattr(variable.array, "prefetch", None)
            if prefetch is not None:
                prefetch([row])
            else:
                variable.array.read(row)
        fetched = 1
    return Pulled(dataset.path, False, 1, 1, fetched, 0)


def _rows(region: Region, array: LazyArray) -> Iterator[Region]:
    """Cut a region along its first dimension, so that what is read of it at a time fits any memory."""
    first, *rest = region
    step = array.chunks[0]
    for start in range(first.start, first.stop, step):
        yield (slice(start, min(start + step, first.stop)), *rest)


def _sizes(project: Project, lacking: Mapping[str, str], remote: str | None) -> int:
    """Return the bytes of some objects on their remote."""
    if not lacking:
        return 0
    from emdvc.history.in_place.origin import remote_or_origin
    from emdvc.history.storage import loop

    found = loop.run(remote_or_origin(project, remote).there(lacking))
    return sum(stat.size for stat in found.values())
