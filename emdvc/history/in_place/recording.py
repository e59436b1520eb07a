"""``emdvc add URL --in-place``: data that already lies on a facility's storage comes under version control there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, ConflictError, UsageError
from emdvc.formats import registry
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions
from emdvc.history import adding_checks, adding_record, blocks, git, yaml_files
from emdvc.history.adding import Added, Request
from emdvc.history.adding_record import Setting
from emdvc.history.in_place.describing import Described, described, foreseen, is_store
from emdvc.history.in_place.finished import ARRIVED, Finished, Sums
from emdvc.history.in_place.place import Place, listed, listing_digest, place_of
from emdvc.history.in_place.spool import Spool, being_written
from emdvc.history.in_place.writing import commit, entry_of, md5_of, source_said
from emdvc.history.journal import recover, transaction
from emdvc.history.progress import Advance, Progress, silent
from emdvc.history.project import Project
from emdvc.history.storage.contract import Stat, unseen
from emdvc.model.sidecar import Sidecar


def add_in_place(request: Request, progress: Progress = silent) -> Added:
    """Record data where it lies; of its numbers nothing stays here.

    The project then has its pointer, its sidecar, and the list of its files. What was read before a kill is not read
    again.

    Parameters
    ----------
    request
        As for :func:`emdvc.history.adding.add`; the source is a URL or a folder.

    Raises
    ------
    UsageError, FormatError, MetadataError
        The source or the destination cannot be; it cannot be read; what was set cannot be set.
    ConflictError
        Other data is recorded or lies at its place.
    EnvironmentFault
        The source did not answer, or is being written.
    """
    settings = adding_record.parse(request.settings)
    project = Project.find_or_none() or Project.find(Path(os.path.abspath(request.target or ".")))  # noqa: PTH100
    recover(project)
    url, inner = registry.split_inner(request.source) if "://" not in request.source else (request.source, None)
    place = place_of(project, str(url))
    target = _target(project, place, request.target)
    files = listed(project, place)
    old = adding_checks.recorded(target)
    said = _refuse(project, target, old, place, replacing=request.replace is not None)
    options = request.options if inner is None else replace(request.options, inner=inner)
    wanted = _Wanted(project, place, files, target, options, settings, request.replace, old, said)
    if old is not None:
        kept = old.source.get("options") or {}
        wanted = replace(wanted, options=ReadOptions.from_dict(kept | options.to_dict()))
        if said.get("listing") == wanted.listing and wanted.options.to_dict() == kept:
            return _set(project, target, old, settings, dry_run=request.dry_run)
    return _foreseen(wanted) if request.dry_run else _recorded(wanted, progress)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be recorded.

    Parameters
    ----------
    project, place, files, target
        Where it lies, what is listed there, and where it goes in the project.
    options, settings, reason
        What was typed.
    old
        What is recorded there already; None for nothing.
    said
        What its ``.dvc`` file says of the source, with the md5 of the data.
    """

    project: Project
    place: Place
    files: Mapping[str, Stat]
    target: Path
    options: ReadOptions
    settings: list[Setting]
    reason: str | None
    old: Sidecar | None
    said: Mapping[str, Any]

    @property
    def listing(self) -> str:
        """Digest of what the source lists."""
        return listing_digest(self.files)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(stat.size for stat in self.files.values())

    @property
    def path(self) -> PurePosixPath:
        """Relative to the project."""
        return self.project.relative(self.target)

    def begun(self) -> Finished:
        """Return what was read of it before."""
        return Finished(self.project, self.place.url, self.listing, self.files)

    def spool(self, finished: Finished, advance: Advance) -> Spool:
        """Return its files as they pass through this machine."""
        return Spool(self.place, self.files, finished.folder / ARRIVED / self.place.name, finished, advance)


def _recorded(wanted: _Wanted, progress: Progress) -> Added:
    place, finished = wanted.place, wanted.begun()
    try:
        with progress(f"reading {place.name}", wanted.size) as advance:
            found = described(wanted.spool(finished, advance), finished, wanted.options)
        if listing_digest(listed(wanted.project, place)) != wanted.listing:
            raise being_written(place, "", "its list of files is another one now")
        sums = {file: finished.sums[file] for file in wanted.files}
        action, sidecar = _written(wanted, sums, found)
    except BaseException:
        finished.close()
        raise
    finished.remove()
    notes = [f"it stays at {place.url}: of its numbers nothing was kept here"]
    if "" not in sums:
        notes.append("emdvc push sends the list of its files, which others need to read it")
    if found.missing:
        first = found.missing[0]
        notes.append(f"{len(found.missing)} chunks are not there and read as the fill value; the first is {first}")
    return Added(wanted.project, wanted.path, action, sidecar.resolved(), tuple(notes))


def _written(wanted: _Wanted, sums: Mapping[str, Sums], found: Described) -> tuple[str, Sidecar]:
    """Write what was found out; return what came of it, and the sidecar."""
    md5, content = md5_of(sums)
    old, same = wanted.old, md5 == wanted.said.get("md5")
    if old is not None and wanted.reason is None and not same:
        raise _other(wanted.project, wanted.target, wanted.place, wanted.said, Code.SOURCE_CHANGED)
    draft = adding_record.carried(old, found.sidecar, same_bytes=same) if old is not None else found.sidecar
    draft = adding_record.apply(draft, wanted.settings)
    entry = entry_of(wanted.target, wanted.files, sums)
    replaced = _kept(old) if same else _replaced(old, wanted.reason)
    sidecar = replace(draft, source=draft.source | {"files": [entry]} | replaced)
    count = {} if content is None else {"nfiles": len(sums)}
    out = {"md5": md5, "size": entry["size"], **count, "hash": "md5", "path": wanted.target.name}
    source = source_said(wanted.place, wanted.listing)
    with transaction(wanted.project, f"emdvc add {wanted.place.url} --in-place") as journal:
        commit(wanted.project, journal, wanted.target, sidecar, out, content, source, found.ranges)
    return "added" if old is None else "described" if same else "replaced", sidecar


def _foreseen(wanted: _Wanted) -> Added:
    """Return what adding would come to, as the metadata of a store tell it; its numbers are not read."""
    place = wanted.place
    if not is_store(wanted.files):
        raise UsageError(
            f"what {place.url} holds is only known when all of it is read",
            evidence=f"it is no Zarr store: {len(wanted.files)} files, {wanted.size} bytes",
            hint="the same command without --dry-run",
        )
    finished = wanted.begun()
    try:
        draft = foreseen(wanted.spool(finished, unseen), wanted.options)
    finally:
        finished.close()
    files = [{"path": wanted.target.name, "size": wanted.size}]
    sidecar = adding_record.apply(replace(draft, source=draft.source | {"files": files}), wanted.settings).resolved()
    notes = (f"it stays at {place.url}: {len(wanted.files)} files are read there once",)
    return Added(wanted.project, wanted.path, "added", sidecar, notes)


def _target(project: Project, place: Place, target: str | None) -> Path:
    if target is None:
        return project.root / "raw" / place.name
    path = Path(os.path.abspath(target))  # noqa: PTH100
    if target.endswith(("/", os.sep)) or (path.is_dir() and not registry.is_store(path)):
        path = path / place.name
    project.relative(path)
    if path.is_relative_to(project.dvc_dir) or path.is_relative_to(project.git_root / ".git"):
        raise UsageError(f"{target} is no place for data", hint=f"emdvc add {place.url} raw/ --in-place")
    if path.name.endswith((sidecars.SUFFIX, ".dvc", ".partial")):
        raise UsageError(f"a dataset cannot be named {path.name}", hint="that ending has a meaning of its own")
    return path


def _refuse(project: Project, target: Path, old: Sidecar | None, place: Place, *, replacing: bool) -> Mapping[str, Any]:
    """Refuse a place where other data is; return what is recorded there of a source, with the md5 of the data."""
    path = project.relative(target)
    pointer = target.with_name(target.name + ".dvc")
    if target.exists():
        raise ConflictError(
            f"data lies at {path}",
            code=Code.RAW_EXISTS,
            evidence="data that is recorded in place has no copy here",
            hint="give another name as DEST",
        )
    content = yaml_files.read(pointer)
    said = dict((content.get("meta") or {}).get("emdvc_source") or {})
    said["md5"] = blocks.recorded_md5(content)
    if pointer.exists() and not replacing and (old is None or said.get("url") != place.url):
        raise _other(project, target, place, said, Code.RAW_EXISTS)
    return said


def _other(project: Project, target: Path, place: Place, said: Mapping[str, Any], code: Code) -> ConflictError:
    path = project.relative(target)
    where = said.get("url") or "a copy that was here"
    cause = f"other data is recorded as {path}"
    if code is Code.SOURCE_CHANGED:
        cause = f"{path} has changed at its source since it was recorded"
    return ConflictError(
        cause,
        code=code,
        evidence=f"recorded {said.get('recorded') or 'earlier'} from {where}",
        hint=f'another name as DEST, or on purpose: emdvc add {place.url} {path} --in-place --replace "why"',
    )


def _replaced(old: Sidecar | None, reason: str | None) -> dict[str, Any]:
    if old is None:
        return {}
    previous = [entry.get("sha256") for entry in old.source.get("files") or []]
    said = {"reason": reason or "", "previous_digest": previous[0] if previous else None}
    return {"replaced": [*(old.source.get("replaced") or []), said]}


def _kept(old: Sidecar | None) -> dict[str, Any]:
    return {"replaced": old.source["replaced"]} if old is not None and old.source.get("replaced") else {}


def _set(project: Project, target: Path, old: Sidecar, settings: list[Setting], *, dry_run: bool) -> Added:
    """Complete the record of data that is recorded already, and has not changed at its source."""
    path = project.relative(target)
    new = adding_record.apply(old, settings)
    if new.to_dict() == old.to_dict():
        return Added(project, path, "unchanged", old.resolved())
    if not dry_run:
        with transaction(project, f"emdvc add {path} --set") as journal:
            where = sidecars.path_of(target)
            journal.will_change(where)
            journal.will_stage([where])
            sidecars.write(target, new)
            git.add([where.relative_to(project.git_root).as_posix()], project.git_root)
    return Added(project, path, "recorded", new.resolved())
