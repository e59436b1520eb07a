"""The adapter over DVC, second part: the remote that holds the data, and what is moved to and from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, DataMissingError, EmdvcError, EnvironmentFault
from emdvc.history.dvc import repository
from emdvc.history.project import Project


@dataclass(frozen=True, slots=True)
class Remote:
    """Where data is shared.

    Parameters
    ----------
    name
        Its name in the settings.
    url
        Folder or URL, without credentials.
    verify
        Whether what is fetched is checked against its digest.
    """

    name: str
    url: str
    verify: bool


def default_remote(project: Project) -> Remote | None:
    """Return the default remote, or None where none is set."""
    from emdvc.history.dvc_settings import settings

    config = settings(project)
    name = config.get("core", {}).get("remote")
    values = config.get("remote", {}).get(name) if name else None
    if values is None:
        return None
    return Remote(str(name), str(values["url"]), bool(values.get("verify", False)))


@contextmanager
def _remote_faults(project: Project) -> Iterator[None]:
    # a storage library raises what it likes (botocore, asyncssh, OSError...); all mean: the remote did not do it
    try:
        yield
    except EmdvcError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and _local(error, project):
            raise
        remote = default_remote(project)
        lines = str(error).splitlines() or [""]
        raise EnvironmentFault(
            f"the remote {remote.name} ({remote.url}) did not answer" if remote else "the remote did not answer",
            code=Code.REMOTE,
            evidence=f"{type(error).__name__}: {lines[0]}".rstrip(": "),
            hint="emdvc doctor",
        ) from error


def _local(error: OSError, project: Project) -> bool:
    return bool(error.filename) and Path(str(error.filename)).is_relative_to(project.root)


def push(project: Project, revisions: list[str] | None = None) -> int:
    """Push the workspace's data, and that of more revisions, to the default remote; return how many files were sent.

    Raises
    ------
    EnvironmentFault
        The remote did not answer, or took only a part.
    ProjectError
        No remote is set.
    DataMissingError
        Something to be pushed is not in the cache.
    """
    with _remote_faults(project), repository(project) as repo:
        return int(repo.push(revs=revisions or None))


def pull(project: Project, targets: list[PurePosixPath] | None = None) -> dict[str, Any]:
    """Fetch data from the default remote and place it in the workspace.

    Raises
    ------
    DataMissingError
        The remote lacks something; it is named, and what could be had is here.
    EnvironmentFault
        The remote did not answer.
    """
    from dvc.exceptions import DownloadError

    with _remote_faults(project), repository(project) as repo, suppress(DownloadError):
        repo.fetch(targets=_names(targets))
    return checkout(project, targets)  # where some is missing it places the rest and says what


def checkout(project: Project, targets: list[PurePosixPath] | None = None) -> dict[str, Any]:
    """Place data of the cache in the workspace; changed files are left as they are.

    Raises
    ------
    DataMissingError
        The cache lacks something; it is named, and the rest is placed.
    """
    from dvc.exceptions import CheckoutError

    with repository(project) as repo:
        try:
            result: dict[str, Any] = repo.checkout(targets=_names(targets), force=False)
        except CheckoutError as error:
            missing = sorted(str(Path(path)).replace("\\", "/") for path in error.target_infos)
            raise missing_data(missing) from error
    return result


def missing_data(paths: list[str]) -> DataMissingError:
    """Return the error that names data which is to be had nowhere."""
    count = len(paths)
    return DataMissingError(
        f"{count} dataset{'s are' if count != 1 else ' is'} neither in the cache nor on the remote",
        evidence="missing: " + ", ".join(paths[:5]) + (f" and {count - 5} more" if count > 5 else ""),
        hint="whoever computed or added it runs: emdvc push",
    )


def not_on_remote(project: Project) -> dict[str, str]:
    """Return the files of the workspace's version that the default remote lacks.

    Returns
    -------
    dict
        Path -> ``new`` (here, not there) or ``missing`` (neither here nor there).

    Raises
    ------
    EnvironmentFault
        The remote did not answer.
    ProjectError
        No remote is set.
    """
    with _remote_faults(project), repository(project) as repo:
        reported = repo.status(cloud=True)
    lacking = {str(path).replace("\\", "/"): str(how) for path, how in reported.items() if how in ("new", "missing")}
    return dict(sorted(lacking.items()))


def _names(targets: list[PurePosixPath] | None) -> list[str] | None:
    return None if targets is None else [path.as_posix() for path in targets]
