"""The state of stages, raw data and remote in one look: by emdvc's own comparison, or by DVC's where that is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from emdvc.errors import EmdvcError
from emdvc.history import dvc_busy
from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.cache_place import cache_folder
from emdvc.history.project import Project
from emdvc.history.workspace import folder_remote
from emdvc.history.workspace.cache_presence import CachePresence
from emdvc.history.workspace.git_state import GitState
from emdvc.history.workspace.hashing import Note
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index import WorkspaceIndex
from emdvc.history.workspace.parsed_texts import ParsedTexts
from emdvc.history.workspace.pipeline_files import Tracked, declared
from emdvc.history.workspace.pipeline_state import Comparison
from emdvc.history.workspace.stage_state import StageState


class Shared(NamedTuple):
    """What a remote for data lacks.

    Parameters
    ----------
    remote, url
        The remote, which is the default one unless it is one of `others`; None where none is set.
    lacking
        Datasets that are here and not there.
    lost
        Datasets that are neither here nor there.
    problem
        Why it could not be asked; None when it was.
    others
        The same of the remotes that single datasets are sent to instead.
    """

    remote: str | None
    url: str | None
    lacking: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    problem: str | None = None
    others: tuple[Shared, ...] = ()


class ProjectState(NamedTuple):
    """States of all stages and ``.dvc`` files, and how to ask the remote, which is done only where it is wanted.

    Parameters
    ----------
    states
        Stages in the order of dvc.yaml, then ``.dvc`` files.
    shared
        Asks the remote.
    asked_dvc
        Why DVC was asked for the states; None where it was not.
    """

    states: list[StageState]
    shared: Callable[[], Shared]
    asked_dvc: str | None = None


def look(project: Project, asked: GitState, texts: ParsedTexts, note: Note | None = None) -> ProjectState:
    """Return the state of a project.

    Parameters
    ----------
    asked
        What git says.
    texts
        What was parsed before.
    note
        Told before data is read, which may take long.

    Raises
    ------
    ProjectError
        dvc.yaml or another of the project's files is damaged.
    EnvironmentFault
        Another DVC works in the project.
    """
    try:
        return own(project, asked, texts, note)
    except AskDvcError as reason:
        from emdvc.history import dvc_pipeline

        return ProjectState(dvc_pipeline.states(project), lambda: shared_by_dvc(project), str(reason))


def own(project: Project, asked: GitState, texts: ParsedTexts, note: Note | None = None) -> ProjectState:
    """Return the state of a project as :func:`look` does, without DVC.

    Raises
    ------
    AskDvcError
        The project has something that only DVC is to judge.
    """
    if dvc_busy.at_work(project):
        raise AskDvcError("a DVC is at work")
    files, hidden = asked.pointers()
    if hidden:
        raise AskDvcError(f"git keeps and ignores {hidden[0]}")
    ignored = Ignored(project.root)
    here = [file for file in files if not any(map(ignored, file.split("/"))) and (project.root / file).is_file()]
    stages = declared(project, here, texts)
    index = WorkspaceIndex(project, ignored, note)

    cache = CachePresence(project, cache_folder(project, texts.load), index)
    comparison = Comparison(project, cache, index, texts)
    done = False
    try:
        states = [comparison.state(one) for one in stages]
        done = True
    except FileNotFoundError as error:
        raise AskDvcError(f"{error.filename} went away") from error
    finally:
        index.save(complete=done)
    cache.save()

    def shared() -> Shared:
        outs = [out for one in stages for out in one.outs if out.shared]
        named = sorted({out.remote for out in outs if out.remote is not None})
        others = [_shared(project, name, [out for out in outs if out.remote == name], cache, texts) for name in named]
        default = _shared(project, None, [out for out in outs if out.remote is None], cache, texts)
        return default._replace(others=tuple(others))

    return ProjectState(states, shared)


def _shared(
    project: Project, name: str | None, outs: list[Tracked], cache: CachePresence, texts: ParsedTexts
) -> Shared:
    """Return what a remote (None: the default one) lacks; one that does not answer is said, not an error."""
    try:
        remote = folder_remote.folder_remote(project, name, texts.load)
    except AskDvcError:
        return _shared_far_away(project, name, outs, cache, texts)
    if remote is None:
        return Shared(name, None, problem="there is no such remote") if name else Shared(None, None)
    lacking, lost = _but_sources(outs, *folder_remote.lacking(remote, outs, cache))
    return Shared(remote.name, remote.url, lacking, lost)


def _but_sources(
    outs: list[Tracked], lacking: tuple[str, ...], lost: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the same where data that stays at its source is not lost; the list of its files is to be sent."""
    there = {out.path: out.md5 or "" for out in outs if out.at_source}
    lists = [path for path in lost if there.get(path, "").endswith(".dir") and path not in lacking]
    return (*(path for path in lacking if there.get(path, ".dir").endswith(".dir")), *lists), tuple(
        path for path in lost if path not in there
    )


def _shared_far_away(
    project: Project, name: str | None, outs: list[Tracked], cache: CachePresence, texts: ParsedTexts
) -> Shared:
    from emdvc.history.storage.settings import remote_settings
    from emdvc.history.workspace import distant_remote

    remote = remote_settings(project, name, texts.load)
    try:
        lacking, lost = _but_sources(outs, *distant_remote.lacking(project, remote.name, outs, cache))
    except EmdvcError as error:
        return Shared(remote.name, remote.url, problem=": ".join(filter(None, (error.cause, error.evidence))))
    return Shared(remote.name, remote.url, lacking, lost)


def shared_by_dvc(project: Project) -> Shared:
    """Return what the default remote lacks; a remote that does not answer is said, not an error."""
    from emdvc.history import dvc, dvc_remote

    remote = dvc_remote.default_remote(project)
    if remote is None:
        return Shared(None, None)
    try:
        lacking = dvc_remote.not_on_remote(project)
    except EmdvcError as error:
        return Shared(remote.name, remote.url, problem=": ".join(filter(None, (error.cause, error.evidence))))
    tracked = [out.path for out in dvc.outs(project)]
    return Shared(
        remote.name,
        remote.url,
        _datasets([path for path, how in lacking.items() if how == "new"], tracked),
        _datasets([path for path, how in lacking.items() if how == "missing"], tracked),
    )


def _datasets(paths: list[str], tracked: list[PurePosixPath]) -> tuple[str, ...]:
    """Return the datasets that files belong to, each once."""
    found: dict[str, None] = {}
    for text in paths:
        path = PurePosixPath(text)
        found[str(next((out for out in tracked if out == path or out in path.parents), path))] = None
    return tuple(found)
