"""DVC's exceptions as emdvc's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emdvc.errors import Code, DataMissingError, EmdvcError, EnvironmentFault, ProjectError


@contextmanager
def translated() -> Iterator[None]:
    """Turn DVC's exceptions into emdvc's errors.

    Raises
    ------
    EnvironmentFault
        Another process works in the project (EM-BUSY); the remote did not answer (EM-REMOTE).
    DataMissingError
        Recorded bytes are neither in the cache nor on the remote.
    ProjectError
        DVC's settings, dvc.yaml or a ``.dvc`` file are damaged or contradict each other.
    """
    try:
        yield
    except (EmdvcError, OSError, MemoryError):
        raise
    except Exception as error:
        found = _translation(error)
        if found is None:
            raise
        raise found from error


def _translation(error: Exception) -> EmdvcError | None:
    from dvc.exceptions import (
        CheckoutError,
        CollectCacheError,
        DownloadError,
        DvcException,
        FileMissingError,
        NotDvcRepoError,
        UploadError,
    )
    from dvc.lock import LockError
    from dvc_objects.fs.errors import AuthError, RemoteMissingDepsError
    from dvc_objects.fs.errors import ConfigError as RemoteConfigError

    first = _first_line(error)
    match error:
        case LockError():
            return EnvironmentFault(
                "another DVC process works in this project",
                code=Code.BUSY,
                evidence=first,
                hint="wait until it is done, then run the same command again",
            )
        case RemoteMissingDepsError():
            protocol = str(error.args[1]) if len(error.args) > 1 else str(getattr(error, "protocol", ""))
            return missing_extra(protocol)
        case AuthError() | RemoteConfigError():
            return EnvironmentFault("the remote refused us", code=Code.REMOTE, evidence=first, hint="emdvc doctor")
        case NotDvcRepoError():
            return ProjectError("this is not a DVC project", evidence=first, hint="emdvc init")
        case DownloadError() | CheckoutError() | CollectCacheError() | FileMissingError():
            return DataMissingError(
                "some data is neither in the cache nor on the remote", evidence=first, hint="emdvc status names it"
            )
        case UploadError():
            return EnvironmentFault(
                "the data was not pushed completely", code=Code.REMOTE, evidence=first, hint="dvc push"
            )
        case DvcException():
            return _config_error(error) or ProjectError(
                "DVC cannot work with this project as it is",
                code=Code.PROJECT_BROKEN,
                evidence=first,
                hint="dvc status",
            )
    return None


def _config_error(error: Exception) -> EmdvcError | None:
    from dvc.config import ConfigError, NoRemoteError, RemoteNotFoundError

    first = _first_line(error).removeprefix("config file error: ")
    if isinstance(error, NoRemoteError):
        return ProjectError(
            "the project has no remote for its data",
            code=Code.REMOTE,
            hint="emdvc remote add lab /path/or/s3://bucket",
        )
    if isinstance(error, RemoteNotFoundError):
        return ProjectError("there is no such remote", code=Code.REMOTE, evidence=first, hint="dvc remote list")
    if isinstance(error, ConfigError):
        return damaged_settings(first)
    return None


def damaged_settings(evidence: str) -> ProjectError:
    """Return the error that says DVC's settings cannot be read."""
    return ProjectError(
        "DVC's settings are damaged", code=Code.PROJECT_BROKEN, evidence=evidence, hint="see .dvc/config"
    )


def missing_extra(protocol: str) -> EnvironmentFault:
    """Return the error that says which package a kind of remote needs."""
    extra = {"ssh": "ssh", "sftp": "ssh", "webdav": "webdav", "webdavs": "webdav"}.get(protocol)
    return EnvironmentFault(
        f"{protocol}:// remotes need a package that is not installed",
        code=Code.REMOTE,
        hint=f"pip install 'emdvc[{extra}]'" if extra else f"pip install 'dvc[{protocol}]'",
    )


def _first_line(error: BaseException) -> str:
    # the innermost cause says it best: DVC wraps "no space left" into "failed to upload"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    cause = error.__cause__
    return f"{text} ({_first_line(cause)})" if cause is not None and str(cause) not in text else text
