"""``emdvc remove``: raw data leaves the project for a reason; its bytes stay where older commits find them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import Code, ConflictError, DataMissingError, UsageError, suggest
from emdvc.formats import sidecar as sidecars
from emdvc.history import dvc_manifest, git
from emdvc.history.batch import Batch
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.journal import recover, transaction
from emdvc.history.project import Project, shown
from emdvc.history.raw import revisions
from emdvc.history.raw.checking import check
from emdvc.history.raw.files import added_here
from emdvc.history.raw.pointers import GitTree, Raw, raw_in
from emdvc.history.raw.removals import FILE, Removal, write


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken out.

    Parameters
    ----------
    path
        Of the data, relative to the project.
    md5s
        Digests that the reason was written down for.
    reason
        Why.
    data_removed
        Whether the data lay in the workspace, and was removed there.
    """

    path: str
    md5s: tuple[str, ...]
    reason: str
    data_removed: bool


def remove(project: Project, typed: str, reason: str, *, dry_run: bool = False) -> Removed:
    """Take raw data out of the project, or write down why it was taken out before.

    Parameters
    ----------
    typed
        Path of the data, of its sidecar, or of its ``.dvc`` file.
    reason
        Why.

    Raises
    ------
    UsageError
        There is no reason.
    DataMissingError
        No such raw data is recorded.
    ConflictError
        The workspace has other bytes than were recorded, or the only copy of them.
    """
    recover(project)
    if not reason.strip():
        raise UsageError("a reason is needed", hint=f'emdvc remove {typed} --reason "why"')
    data = sidecars.data_of(Path(typed))
    path = project.relative(data)
    here = [raw for raw in added_here(project) if raw.path == project.prefix / path]
    md5s = tuple(dict.fromkeys(raw.md5 for raw in here)) or _lost(project, str(project.prefix / path))
    if not md5s:
        known = [str(raw.path.relative_to(project.prefix)) for raw in added_here(project)]
        near = suggest(str(path), known)
        raise DataMissingError(
            f"no raw data {path} is recorded",
            code=Code.NOT_FOUND,
            hint=f"did you mean {near}?" if near else "results go with their stage: dvc remove STAGE",
        )
    place = project.path(path)
    gone = bool(here) and place.exists()
    if gone:
        for raw in here:
            _refuse_only_copy(project, raw, place)
    if not dry_run:
        _take_out(project, here, place, [Removal(str(path), md5, reason.strip()) for md5 in md5s], gone=gone)
    return Removed(str(path), md5s, reason.strip(), gone)


def _take_out(project: Project, here: list[Raw], place: Path, removed: list[Removal], *, gone: bool) -> None:
    pointers = [project.git_root / raw.pointer for raw in here]
    ignored = place.parent / ".gitignore"
    touched = [*pointers, project.path(FILE)]
    touched += [sidecars.path_of(place), ignored] if here else []
    with transaction(project, f"emdvc remove {place.name}") as journal:
        for path in touched:
            journal.will_change(path)
        journal.will_stage(touched)
        if gone:
            journal.set_aside(place)
        write(project, removed)
        if here and ignored.is_file():
            lines = ignored.read_text(encoding="utf-8").splitlines()
            left = [line for line in lines if line.strip() != f"/{place.name}"]
            if left:
                sidecars.write_text(ignored, "".join(f"{line}\n" for line in left))
            else:
                ignored.unlink()
        for path in (*pointers, *([sidecars.path_of(place)] if here else [])):
            path.unlink(missing_ok=True)
        known = {str(name) for name in git.tracked(project.git_root)}
        names = [path.relative_to(project.git_root).as_posix() for path in touched]
        there = zip(touched, names, strict=True)
        git.add([name for path, name in there if path.exists() or name in known], project.git_root)


def _lost(project: Project, path: str) -> tuple[str, ...]:
    """Return the digests of raw data that is in the last commit, or went in one without a reason."""
    root = project.git_root
    spans = [revisions.rewritten(root), revisions.unshared(root), revisions.index(root)]
    found = [one.before for one in check(root, spans).findings if one.path == path]
    head = git.head(root)
    if head is not None:
        with Batch(root) as batch:
            tree = GitTree(head.oid, batch)
            pointer = f"{path}.dvc"
            found += [raw.md5 for raw in raw_in(tree, pointer) if str(raw.path) == path and raw.md5]
    return tuple(dict.fromkeys(found))


def _refuse_only_copy(project: Project, raw: Raw, place: Path) -> None:
    """Refuse where removing the data from the workspace would lose bytes."""
    from emdvc.history import dvc_pipeline

    path = raw.path.relative_to(project.prefix)
    states = dvc_pipeline.states(project, [path])
    if any(how == "modified" for state in states for how in state.changed_outs.values()):
        raise ConflictError(
            f"{path} is not what was recorded",
            code=Code.RAW_CHANGED,
            hint=f'dvc checkout --force {path}, or first: emdvc add {path} --replace "why"',
        )
    lacking = next(
        (md5 for md5 in _objects(project, raw) if not object_path(cache_folder(project), md5).is_file()), None
    )
    if lacking is not None:
        raise ConflictError(
            f"{shown(place)} may be the only copy of these bytes",
            code=Code.DATA_NEEDED,
            evidence=f"the cache lacks {lacking}",
            hint=f"dvc commit --force {raw.pointer}, then the same command again",
        )


def _objects(project: Project, raw: Raw) -> Iterable[str]:
    files = dvc_manifest.manifest(cache_folder(project), raw.md5) if raw.md5.endswith(".dir") else None
    return (raw.md5, *(files or {}).values())
