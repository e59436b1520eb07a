"""``emdvc add``: a file, a set of files or a store comes under version control, completely or not at all.

Everything that can be wrong with the file or with what was typed is found before the project is touched; what is then
changed stands in the undo journal first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, DataMissingError, FormatError, suggest
from emdvc.formats import registry
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions
from emdvc.formats.describe import describe
from emdvc.formats.readers.zarr import missing_chunks
from emdvc.history import (
    adding_checks,
    adding_edited,
    adding_files,
    adding_ranges,
    adding_record,
    blocks,
    dvc,
    edited,
    git,
    partial,
)
from emdvc.history.adding_files import Source
from emdvc.history.adding_record import Setting
from emdvc.history.blocks import Ranges
from emdvc.history.edited import Edited
from emdvc.history.journal import Journal, recover, transaction
from emdvc.history.older_state import refuse_older
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project, shown
from emdvc.history.protection import files_of, protect, writable
from emdvc.history.remotes import routing
from emdvc.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Parameters
    ----------
    source
        Path of the file or folder, with ``::/path/inside`` where needed.
    target
        Where it goes; None for the usual place.
    settings
        ``key=value`` texts for the record.
    options
        How to read it.
    replace
        Why other bytes may take the place of those that are recorded; None: they may not.
    dry_run
        Only check, and tell what would be done.
    edited
        Whether people go on editing the data, so that the rules for raw data do not hold for it.
    mergeable
        Names of the arrays that merge element by element; they imply `edited`.
    """

    source: str
    target: str | None = None
    settings: tuple[str, ...] = ()
    options: ReadOptions = field(default_factory=ReadOptions)
    replace: str | None = None
    dry_run: bool = False
    edited: bool = False
    mergeable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it.

    Parameters
    ----------
    project, path
        The project, and the dataset's path in it.
    action
        ``added``, ``replaced``, ``edited`` (people changed their data), ``declared`` (as edited data), ``described``
        (read in another way), ``recorded`` (only metadata set) or ``unchanged``.
    sidecar
        The sidecar as it stands now, resolved.
    notes
        What a person should know, such as files that were moved.
    edited
        What is declared of data that people go on editing; None of raw data.
    """

    project: Project
    path: PurePosixPath
    action: str
    sidecar: Sidecar
    notes: tuple[str, ...] = ()
    edited: Edited | None = None


def add(request: Request, progress: Progress = silent) -> Added:
    """Put a file, a set of files or a store under version control.

    Raises
    ------
    FormatError, MetadataError
        The file cannot be read, or what was set cannot be set.
    ConflictError
        Other data lies at its place.
    EnvironmentFault
        The disk is full, another emdvc is writing, the file is still being written.
    """
    settings = adding_record.parse(request.settings)
    path, inner = registry.split_inner(request.source)
    start = Path(os.path.abspath(sidecars.data_of(path)))  # noqa: PTH100
    options = replace(request.options, inner=inner) if inner is not None else request.options
    project = _project(start, request.target)
    recover(project)
    if not start.exists():
        return _without_data(project, start, settings, request)
    source = adding_files.locate(project, start, request.target, _saved_options(start, options))
    old = adding_checks.recorded(source.target)
    declared = edited.of(source.target)
    wanted = adding_edited.wanted(project, source, declared, request)
    if old is not None and adding_checks.same_bytes(project, source, old, progress):
        if wanted is not None and wanted != declared:
            old = adding_edited.declare(project, source.target, old, wanted, request)
        if request.dry_run:
            added = _set(project, source.target, old, settings, dry_run=True)
        else:
            added = _again(project, source, old, options, settings, progress)
        return adding_edited.told(added, wanted, anew=wanted != declared)
    by_hand = declared is not None and source.in_place
    if source.in_place and not (by_hand and request.replace is not None):
        partial.refuse_part(project, project.relative(source.target), "adding it")
    if by_hand and request.replace is None:
        refuse_older(project, source)
    command = f"emdvc add {request.source}" + (f" {request.target}" if request.target else "")
    adding_checks.refuse(project, source, old, command, replacing=by_hand or request.replace is not None)
    if request.dry_run:
        action = "edited" if by_hand else "added"
        return replace(_foreseen(project, source, options, settings), edited=wanted, action=action)
    return _track(project, source, old, options, settings, request.replace, progress, wanted, by_hand=by_hand)


def _project(start: Path, target: str | None) -> Project:
    there = Path(os.path.abspath(target)) if target is not None else start  # noqa: PTH100
    return Project.find_or_none() or Project.find_or_none(there) or Project.find()


def _saved_options(start: Path, options: ReadOptions) -> ReadOptions:
    # a file that was added once is read again as it was then, unless told otherwise
    if not sidecars.path_of(start).exists():
        return options
    saved = sidecars.read(start).source.get("options") or {}
    return ReadOptions.from_dict(saved | options.to_dict())


def _without_data(project: Project, start: Path, settings: list[Setting], request: Request) -> Added:
    """Set metadata of data that is recorded but was not fetched."""
    old = adding_checks.recorded(start) if start.is_relative_to(project.root) else None
    typed = request.source
    if old is not None:
        return _set(project, start, old, settings, dry_run=request.dry_run)
    if start.with_name(start.name + ".dvc").exists():
        raise DataMissingError(f"{typed} is not here", hint=f"emdvc pull {shown(start)}.dvc")
    beside = [path.name for path in start.parent.iterdir()] if start.parent.is_dir() else []
    near = suggest(start.name, beside)
    raise FormatError(
        f"{typed} does not exist",
        code=Code.NOT_FOUND,
        hint=f"did you mean {shown(start.with_name(near))}?" if near else None,
    )


def _again(
    project: Project, source: Source, old: Sidecar, options: ReadOptions, settings: list[Setting], progress: Progress
) -> Added:
    """Handle a second add of the same bytes: only what was said anew changes."""
    saved = old.source.get("options") or {}
    said = saved | options.to_dict()
    here = source if source.in_place or not source.target.exists() else _at(project, source.target)
    if said == saved:
        added = _set(project, source.target, old, settings)
        return _completed(project, here, added, ReadOptions.from_dict(said), progress)
    opened = registry.open_file(here.start, ReadOptions.from_dict(said))
    try:
        new = adding_record.described(opened, ReadOptions.from_dict(said), progress, old.source["files"])
        ranges = adding_ranges.known(here, opened, progress)
    finally:
        opened.close()
    new = adding_record.apply(adding_record.carried(old, new, same_bytes=True), settings)
    with transaction(project, f"emdvc add {project.relative(source.target)}") as journal:
        _write_sidecar(project, journal, source.target, new)
        _write_ranges(project, journal, source.target, ranges)
    return Added(project, project.relative(source.target), "described", new.resolved())


def _completed(project: Project, source: Source, added: Added, options: ReadOptions, progress: Progress) -> Added:
    """Make what data that was added earlier lacks for being read in parts."""
    if not adding_ranges.lacking(source):
        return added
    opened = registry.open_file(source.start, options)
    try:
        ranges = adding_ranges.known(source, opened, progress)
    finally:
        opened.close()
    with transaction(project, f"emdvc add {added.path}") as journal:
        _write_ranges(project, journal, source.target, ranges)
    note = f"{added.path}.dvc now holds the checksums of its blocks: parts of it can be read without pulling it"
    action = "recorded" if added.action == "unchanged" else added.action
    return replace(added, action=action, notes=(*added.notes, note))


def _write_ranges(project: Project, journal: Journal, target: Path, ranges: Ranges) -> None:
    pointer = target.with_name(target.name + ".dvc")
    journal.will_change(pointer)
    journal.will_stage([pointer])
    blocks.write(pointer, ranges)
    git.add([pointer.relative_to(project.git_root).as_posix()], project.git_root)


def _at(project: Project, target: Path) -> Source:
    return adding_files.locate(project, target, None, _saved_options(target, ReadOptions()))


def _foreseen(project: Project, source: Source, options: ReadOptions, settings: list[Setting]) -> Added:
    """Return what adding would come to: the file is opened, what was set is checked; nothing is hashed or written."""
    opened = registry.open_file(source.start, options)
    try:
        files = [{"path": source.target.name, "size": source.size}]
        draft = describe(opened, options=options, files=files, digests={})
    finally:
        opened.close()
    sidecar = adding_record.apply(draft, settings).resolved()
    return Added(project, project.relative(source.target), "added", sidecar, tuple(_notes(project, source)))


def _set(project: Project, target: Path, old: Sidecar, settings: list[Setting], *, dry_run: bool = False) -> Added:
    path = project.relative(target)
    new = adding_record.apply(old, settings)
    if new.to_dict() == old.to_dict():
        if target.exists() and writable(target) and not dry_run and edited.of(target) is None:
            protect(target)
        return Added(project, path, "unchanged", old.resolved())
    if dry_run:
        return Added(project, path, "recorded", new.resolved())
    with transaction(project, f"emdvc add {path} --set") as journal:
        _write_sidecar(project, journal, target, new)
    return Added(project, path, "recorded", new.resolved())


def _write_sidecar(project: Project, journal: Journal, target: Path, sidecar: Sidecar) -> None:
    path = sidecars.path_of(target)
    journal.will_change(path)
    journal.will_stage([path])
    sidecars.write(target, sidecar)
    git.add([path.relative_to(project.git_root).as_posix()], project.git_root)


def _track(
    project: Project,
    source: Source,
    old: Sidecar | None,
    options: ReadOptions,
    settings: list[Setting],
    reason: str | None,
    progress: Progress,
    declared: Edited | None = None,
    *,
    by_hand: bool = False,
) -> Added:
    before = source.state()
    if old is not None:
        options = ReadOptions.from_dict((old.source.get("options") or {}) | options.to_dict())
    opened = registry.open_file(source.start, options)
    try:
        draft = adding_record.described(opened, options, progress, [])
        places = adding_ranges.places(source, opened)
    finally:
        opened.close()
    if old is not None:
        draft = adding_record.carried(old, draft, same_bytes=False)
    draft = adding_record.apply(draft, settings)
    adding_files.require_still(source, before)
    with transaction(project, f"emdvc add {source.start.name}") as journal:
        if old is not None and not source.in_place and source.target.exists():
            journal.set_aside(source.target)
        sums = adding_ranges.sums_to_make(source)
        digests = adding_files.place(source, journal, progress, sums)
        files = adding_files.entries(_placed(source), _renamed(source, digests))
        replaced = adding_edited.replaced(old) if by_hand and reason is None else _replaced(old, reason)
        sidecar = replace(draft, source=draft.source | {"files": files} | replaced)
        if not source.here:
            adding_files.require_still(source, before)
        ranges = Ranges(adding_ranges.named(source, sums), places)
        _commit_bytes(project, journal, source.target, sidecar, ranges, declared)
    # a person who erases labels leaves no chunk behind: no loss that is to be told
    notes = [*_notes(project, source), *(_gaps(source.target) if declared is None else [])]
    action = "added" if old is None else "edited" if by_hand else "replaced"
    return Added(project, project.relative(source.target), action, sidecar.resolved(), tuple(notes), declared)


def _placed(source: Source) -> Source:
    """Return the same dataset where it lies now."""
    if not source.directory:
        return replace(source, start=source.target, base=source.target.parent, files=(source.target,))
    files = tuple(source.target / source.name(file) for file in source.files)
    return replace(source, start=source.target, base=source.target, files=files)


def _renamed(source: Source, digests: dict[Path, str]) -> dict[Path, str]:
    if not source.directory:
        return {source.target: digests[source.start]}
    return {source.target / source.name(file): digest for file, digest in digests.items()}


def _replaced(old: Sidecar | None, reason: str | None) -> dict[str, Any]:
    if old is None:
        # of data that DVC alone knew, the reason is kept all the same
        return {"replaced": [{"reason": reason, "previous_digest": None}]} if reason else {}
    earlier = list(old.source.get("replaced") or [])
    digests = [entry.get("sha256") for entry in old.source.get("files") or []]
    return {"replaced": [*earlier, {"reason": reason or "", "previous_digest": digests[0] if digests else None}]}


def _commit_bytes(
    project: Project, journal: Journal, target: Path, sidecar: Sidecar, ranges: Ranges, declared: Edited | None
) -> None:
    pointer = target.with_name(target.name + ".dvc")
    touched = [pointer, target.parent / ".gitignore", sidecars.path_of(target)]
    for path in touched:
        journal.will_change(path)
    journal.will_stage(touched)
    remote = routing.remote_of_pointer(project, project.relative(pointer))
    dvc.add(project, project.relative(target))
    routing.lead_pointer(project, project.relative(pointer), remote)
    blocks.write(pointer, ranges)
    sidecars.write(target, sidecar)
    journal.will_set_modes(files_of(target))
    if declared is None:
        protect(target)
    else:
        edited.write(pointer, declared)
        edited.release(target)
    git.add([path.relative_to(project.git_root).as_posix() for path in touched if path.exists()], project.git_root)


def _gaps(target: Path) -> list[str]:
    """Return a note on chunks that are not there: legal where a scan was sparse, else data lost before it came here."""
    if not target.is_dir() or not registry.is_store(target):
        return []
    missing = missing_chunks(target)
    if not missing:
        return []
    return [f"{len(missing)} chunks are not there and read as the fill value; the first is {missing[0]}"]


def _notes(project: Project, source: Source) -> list[str]:
    notes = []
    if source.here and not source.in_place:
        what = f"{len(source.files)} files were" if len(source.files) > 1 else f"{source.start.name} was"
        notes.append(f"{what} moved to {project.relative(source.target)}")
    elif source.directory and not source.start.is_dir():
        target = project.relative(source.target)
        notes.append(f"{len(source.files)} files belong together and are kept as one: {target}/")
    return notes
