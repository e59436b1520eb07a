"""``emdvc get``: clone a project and fetch the data that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emdvc.errors import (
    Code,
    ConflictError,
    DataMissingError,
    EnvironmentFault,
    ProjectError,
    UsageError,
    suggest,
)
from emdvc.history import dvc, dvc_remote, dvc_settings, git, notes
from emdvc.history.initialise import configure_clone
from emdvc.history.project import Project, shown
from emdvc.history.protection import protect


@dataclass(frozen=True, slots=True)
class Got:
    """What came of it.

    Parameters
    ----------
    project
        The clone.
    fetched
        Datasets that are here now.
    absent
        Datasets that were not asked for.
    notes
        What a person should know.
    """

    project: Project
    fetched: tuple[str, ...]
    absent: tuple[str, ...]
    notes: tuple[str, ...] = ()


def get(url: str, folder: Path | None = None, *, data: bool = True, only: Sequence[str] = ()) -> Got:
    """Clone a project and fetch its data.

    Parameters
    ----------
    url
        Of the git repository: anything that git clones.
    folder
        Where to; by default a folder named like the repository.
    data
        Whether to fetch data.
    only
        Datasets (or parts of them) to fetch; all when empty.

    Raises
    ------
    ConflictError
        The folder holds something.
    EnvironmentFault
        The clone failed; nothing is left.
    DataMissingError
        Some data is not on the remote; it is named, and the clone stays.
    """
    if not data and only:
        raise UsageError("--no-data and --only contradict each other", hint="leave one of them out")
    folder = Path.cwd() / (folder or _name(url))
    _clone(url, folder)
    project = _project(url, folder)
    configure_clone(project)
    said = _local_remote(project, url)
    with suppress(EnvironmentFault):  # who computed what, and whether it was verified: good to have, no more
        notes.fetch(project.git_root, "origin")
    outs = sorted((out for out in dvc.outs(project) if out.cached), key=lambda out: out.path)
    targets = _targets(project, only, [out.path for out in outs]) if only else None
    try:
        if data and outs:
            dvc_remote.pull(project, targets)
    except (DataMissingError, ProjectError) as error:
        error.hint = error.hint or f"the clone is in {shown(folder)}"
        raise
    finally:
        here = [out for out in outs if project.path(out.path).exists()]
        for out in here:
            if out.source:
                protect(project.path(out.path))
    fetched = tuple(str(out.path) for out in here)
    return Got(project, fetched, tuple(str(out.path) for out in outs if out not in here), tuple(said))


def history_of(url: str, folder: Path) -> Project:
    """Clone a project without its data, for a look into it.

    Parameters
    ----------
    url
        Of the git repository.
    folder
        Where to; it must not exist.

    Raises
    ------
    EnvironmentFault
        The clone failed; nothing is left.
    ProjectError
        It is no project.
    """
    _clone(url, folder)
    project = _project(url, folder)
    _local_remote(project, url)
    return project


def _name(url: str) -> str:
    name = url.rstrip("/\\").replace("\\", "/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
    if not name:
        raise UsageError(f"'{url}' names no repository", hint="emdvc get URL DIR")
    return name


def _clone(url: str, folder: Path) -> None:
    existed = folder.exists()
    if existed and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(
            f"{shown(folder)} exists and is not empty",
            hint="name another folder: emdvc get URL DIR; or work in it: dvc pull",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        git.clone(url, folder, Path.cwd())
        if git.head(folder) is None:
            _check_out_only_branch(folder)
    except BaseException:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            if existed:
                folder.mkdir()
        raise


def _check_out_only_branch(folder: Path) -> None:
    # a bare repository made on a server names a default branch that nobody may ever have pushed
    names = git.git(["for-each-ref", "--format=%(refname:strip=3)", "refs/remotes/origin"], folder).split()
    branches = [name for name in names if name != "HEAD"]
    if len(branches) == 1 or "main" in branches:
        name = branches[0] if len(branches) == 1 else "main"
        git.run(["checkout", "--quiet", "-B", name, "--track", f"origin/{name}"], folder)


def _project(url: str, folder: Path) -> Project:
    if (folder / ".dvc").is_dir():
        return Project(folder, folder)
    below = [Path(name).parents[1] for name in git.tracked(folder, ["*.dvc/config"]) if name.endswith("/.dvc/config")]
    if len(below) == 1:
        return Project(folder / below[0], folder)
    several = f"it holds several: {', '.join(map(str, below))}"
    raise ProjectError(
        f"{url} is not an emdvc project",
        evidence=several if below else "it was cloned, but holds no .dvc folder",
        hint=f"emdvc init {shown(folder)}" if not below else f"cd {shown(folder / below[0])} && dvc pull",
    )


def _local_remote(project: Project, url: str) -> list[str]:
    """Point a remote that is a folder beside the original to that folder: its relative path does not hold here."""
    configured = dvc_settings.project_settings(project.root)
    name = configured.get("core", {}).get("remote")
    written = configured.get(f'remote "{name}"', {}).get("url", "")
    origin = Path(url).expanduser()
    if not written or "://" in written or Path(written).is_absolute() or not origin.exists():
        return []
    here = (project.dvc_dir / written).resolve()
    there = (origin / project.prefix / ".dvc" / written).resolve()
    if here.exists() or not there.is_dir():
        return []
    dvc_settings.set_local(project, f'remote "{name}"', "url", str(there))
    return [f"the remote {name} is the folder {there} (noted in .dvc/config.local)"]


def _targets(project: Project, only: Sequence[str], known: list[PurePosixPath]) -> list[PurePosixPath]:
    targets = []
    for text in only:
        path = PurePosixPath(text.rstrip("/"))
        with suppress(UsageError):  # typed as seen from here, not from the project
            path = project.relative(text) if (Path.cwd() / text).is_relative_to(project.root) else path
        within = [out for out in known if out == path or out in path.parents]
        holds = [out for out in known if path in out.parents]
        if not within and not holds:
            near = suggest(str(path), [str(out) for out in known])
            raise DataMissingError(
                f"the project tracks no data {path}",
                code=Code.NOT_FOUND,
                evidence=f"the clone is in {shown(project.root)}",
                hint=f"did you mean {near}? cd {shown(project.root)} && dvc pull {near}" if near else None,
            )
        targets += [path] if within else holds
    return targets
