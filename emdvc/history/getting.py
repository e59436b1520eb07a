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
    EmdvcError,
    EnvironmentFault,
    ProjectError,
    UsageError,
    suggest,
)
from emdvc.history import dvc, dvc_remote, dvc_settings, git, notes
from emdvc.history.collecting.after_push import use_cache
from emdvc.history.initialise import configure_clone
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project, shown
from emdvc.history.raw.files import settle
from emdvc.history.snapshot import Snapshot
from emdvc.history.storage.remote import remote_of
from emdvc.history.storage.settings import remote_settings
from emdvc.history.transfer.placing import fetch_and_place
from emdvc.history.transfer.pushing import keeps_versions
from emdvc.history.transfer.runs import fetch_runs
from emdvc.history.verify.wanted_objects import is_chosen, kept_by_dvc


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


def get(
    url: str,
    folder: Path | None = None,
    *,
    data: bool = True,
    only: Sequence[str] = (),
    progress: Progress = silent,
) -> Got:
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
    progress
        Shows the bytes that are fetched.

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
    project = project_of(url, folder)
    configure_clone(project)
    said = local_remote(project, url)
    with suppress(EnvironmentFault):  # who computed what, and whether it was verified: good to have, no more
        notes.fetch(project.git_root, "origin")
    outs = sorted((out for out in dvc.outs(project) if out.cached), key=lambda out: out.path)
    targets = _targets(project, only, [out.path for out in outs]) if only else None
    try:
        if data and outs:
            _fetch(project, targets, progress)
    except (DataMissingError, ProjectError) as error:
        error.hint = error.hint or f"the clone is in {shown(folder)}"
        raise
    except EnvironmentFault as error:
        error.hint = f"{error.hint or 'once it is mended'}; then: cd {shown(folder)} && emdvc pull"
        raise
    finally:
        here = [out for out in outs if project.path(out.path).exists()]
        settle(project)
        use_cache(project)
    fetched = tuple(str(out.path) for out in here)
    return Got(project, fetched, tuple(str(out.path) for out in outs if out not in here), tuple(said))


def _fetch(project: Project, targets: list[PurePosixPath] | None, progress: Progress) -> None:
    """Fetch data and place it; with all of it also the records of runs, by which later ones are not run again."""
    if keeps_versions(remote_settings(project)):
        dvc_remote.pull(project, targets)
        return
    with Snapshot(project) as snapshot:
        kept = list(kept_by_dvc(snapshot))
    if targets is None:
        # what was recorded where it lies stays there, unless it is asked for by name
        wanted = [entry for entry in kept if entry.source is None]
    else:
        wanted = [entry for entry in kept if is_chosen(entry.path, targets)]
    try:
        fetch_and_place(project, wanted, progress)
    finally:
        if targets is None:
            with suppress(EmdvcError):  # good to have, no more
                fetch_runs(project, remote_of(project))


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
    project = project_of(url, folder)
    local_remote(project, url)
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
            hint="name another folder: emdvc get URL DIR; or work in it: emdvc pull",
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


def project_of(url: str, folder: Path) -> Project:
    """Return the project in a clone of a repository.

    Raises
    ------
    ProjectError
        It holds none, or several.
    """
    if (folder / ".dvc").is_dir():
        return Project(folder, folder)
    below = [Path(name).parents[1] for name in git.tracked(folder, ["*.dvc/config"]) if name.endswith("/.dvc/config")]
    if len(below) == 1:
        return Project(folder / below[0], folder)
    several = f"it holds several: {', '.join(map(str, below))}"
    raise ProjectError(
        f"{url} is not an emdvc project",
        evidence=several if below else "it was cloned, but holds no .dvc folder",
        hint=f"emdvc init {shown(folder)}" if not below else f"cd {shown(folder / below[0])} && emdvc pull",
    )


def local_remote(project: Project, url: str) -> list[str]:
    """Point remotes that are folders beside the original to those folders: their relative paths do not hold here."""
    origin, notes = Path(url).expanduser(), []
    for section, said in dvc_settings.project_settings(project.root).items():
        written = said.get("url", "") if section.startswith('remote "') else ""
        if not written or "://" in written or Path(written).is_absolute() or not origin.exists():
            continue
        here = (project.dvc_dir / written).resolve()
        there = (origin / project.prefix / ".dvc" / written).resolve()
        if not here.exists() and there.is_dir():
            dvc_settings.set_local(project, section, "url", str(there))
            name = section.removeprefix('remote "').rstrip('"')
            notes.append(f"the remote {name} is the folder {there} (noted in .dvc/config.local)")
    return notes


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
                hint=f"did you mean {near}? cd {shown(project.root)} && emdvc pull {near}" if near else None,
            )
        targets += [path] if within else holds
    return targets
