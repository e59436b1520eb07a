"""``emdvc add --edited``: what is declared of data that people go on editing, and what of it they changed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, ConflictError, UsageError, suggest
from emdvc.formats import registry
from emdvc.formats import sidecar as sidecars
from emdvc.history import dvc_pipeline, edited, git, raw_guard
from emdvc.history.adding_files import Source
from emdvc.history.edited import Edited
from emdvc.history.journal import transaction
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.protection import files_of
from emdvc.history.raw.pointers import WorkspaceTree
from emdvc.history.snapshot import data_path
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.history.adding import Added, Request


def wanted(project: Project, source: Source, declared: Edited | None, request: Request) -> Edited | None:
    """Return what is to be declared of a dataset; None of raw data.

    Parameters
    ----------
    declared
        What its ``.dvc`` file declares now.
    request
        What was asked for.

    Raises
    ------
    UsageError
        There is no such array, or none that could merge by element.
    ConflictError
        It is recorded as raw data, and nobody says why it is not to be that any more.
    """
    if not request.edited:
        return declared
    if request.mergeable:
        _check_names(source.start, request.mergeable)
    if declared is None and request.replace is None and source.target.with_name(f"{source.target.name}.dvc").exists():
        path = project.relative(source.target)
        options = " ".join(["--edited", *(f"--mergeable {name}" for name in request.mergeable)])
        raise ConflictError(
            f"{path} is recorded as raw data",
            code=Code.RAW_EXISTS,
            evidence="raw data never changes; edited data may",
            hint=f'to edit it from now on: emdvc add {path} {options} --replace "why"',
        )
    return (declared or Edited()).united(request.mergeable)


def _check_names(start: Path, names: tuple[str, ...]) -> None:
    from emdvc.formats.readers.zarr import arrays, open_node

    if not (start.is_dir() and registry.is_store(start)):
        raise UsageError(
            f"{start.name} is no Zarr store: it has no arrays that merge by element",
            hint="--edited alone, or first: emdvc convert",
        )
    known = [name or start.stem for name, _ in arrays(open_node(start))]
    for name in names:
        if name not in known:
            near = suggest(name, known)
            raise UsageError(
                f"{start.name} has no array '{name}'",
                code=Code.NOT_FOUND,
                evidence=f"its arrays are {', '.join(known)}",
                hint=f"did you mean --mergeable {near}?" if near else None,
            )


def declare(project: Project, target: Path, old: Sidecar, wanted: Edited, request: Request) -> Sidecar:
    """Declare recorded data, whose bytes stay, as edited data; return its sidecar as it is then.

    Parameters
    ----------
    old
        Its sidecar.
    wanted
        What is declared.
    request
        What was asked for; why data is not raw any more is kept.
    """
    pointer = target.with_name(f"{target.name}.dvc")
    new = old
    if request.replace is not None:
        new = replace(old, source=old.source | {"replaced": [*_earlier(old), _entry(old, request.replace)]})
    if request.dry_run:
        return old
    with transaction(project, f"emdvc add {project.relative(target)} --edited") as journal:
        touched = [pointer, sidecars.path_of(target)]
        for path in touched:
            journal.will_change(path)
        journal.will_stage(touched)
        journal.will_set_modes(files_of(target))
        edited.write(pointer, wanted)
        if new is not old:
            sidecars.write(target, new)
        edited.release(target)
        git.add([path.relative_to(project.git_root).as_posix() for path in touched], project.git_root)
    return new


def told(added: Added, declared: Edited | None, *, anew: bool) -> Added:
    """Return an answer that says what is declared."""
    action = "declared" if anew and added.action == "unchanged" else added.action
    return replace(added, edited=declared, action=action)


def replaced(old: Sidecar | None) -> dict[str, Any]:
    """Return the reasons that a sidecar keeps: who edits edited data need give no new one."""
    earlier = _earlier(old) if old is not None else []
    return {"replaced": earlier} if earlier else {}


def _earlier(old: Sidecar) -> list[Any]:
    return list(old.source.get("replaced") or [])


def _entry(old: Sidecar, reason: str) -> dict[str, Any]:
    digests = [entry.get("sha256") for entry in old.source.get("files") or []]
    return {"reason": reason, "previous_digest": digests[0] if digests else None}


# --- what people changed since ---


def changed(project: Project) -> list[PurePosixPath]:
    """Return the edited data whose files, or whose ``.dvc`` file, are not what the sidecar speaks of.

    While a merge is not finished nothing is: what is open is said by who asks.
    """
    known = [path for path in _declared(project) if project.path(path).exists()]
    if not known or any(change.unmerged for change in git.changes(project.git_root)):
        return []
    states = dvc_pipeline.states(project, known)
    modified = {path for state in states for path, how in state.changed_outs.items() if how == "modified"}
    return [path for path in known if str(path) in modified or raw_guard.repointed(project, path)]


def _declared(project: Project) -> Iterator[PurePosixPath]:
    tree = WorkspaceTree(project.git_root)
    for name in tree.pointers():
        pointer = PurePosixPath(name)
        if pointer.is_relative_to(project.prefix) and edited.KEY in (tree.text(pointer) or ""):
            path = data_path(pointer.relative_to(project.prefix))
            if edited.of(project.path(path)) is not None:
                yield path


def record(
    project: Project, paths: Iterable[PurePosixPath], *, dry_run: bool = False, progress: Progress = silent
) -> list[str]:
    """Record what people changed in their edited data, and say what was recorded.

    Parameters
    ----------
    paths
        The data that :func:`changed` names.
    dry_run
        Only say what would be.
    progress
        Shows the bytes that are read.

    Raises
    ------
    EmdvcError
        As ``emdvc add`` of each: a file is damaged, or only a part of a dataset is here.
    """
    from emdvc.history.adding import Request, add

    said = []
    for path in paths:
        if dry_run:
            said.append(f"would record the edits of {path}")
        else:
            add(Request(str(project.path(path))), progress)
            said.append(f"recorded the edits of {path}")
    return said
