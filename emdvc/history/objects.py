"""The bytes that DVC recorded, by their md5: from the cache, from the workspace, or from a remote, each one checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from emdvc.errors import DataMissingError, EmdvcError, EnvironmentFault, ProjectError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.project import Project
from emdvc.history.transfer import fetching
from emdvc.history.workspace.hashing import file_md5


class Objects:
    """Recorded objects of a project.

    What is fetched is checked against its md5 and kept in DVC's cache, so that a later ``dvc pull`` fetches the rest.

    Parameters
    ----------
    project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.cache = cache_folder(project)

    def here(self, md5s: Iterable[str]) -> bool:
        """Say whether the cache has all of these objects."""
        return all(object_path(self.cache, md5).is_file() for md5 in md5s)

    def path(self, md5: str) -> Path:
        """Return the cache's file of an object that :meth:`ensure` has seen to."""
        return object_path(self.cache, md5)

    def manifest(self, md5: str, name: str, *, remote: str | None = None) -> dict[str, str]:
        """Return the files of a directory with their md5s.

        Parameters
        ----------
        md5
            Of the directory.
        name
            What messages call it.
        remote
            Remote that it is kept on, where not the default one.

        Raises
        ------
        DataMissingError, EnvironmentFault
            As :meth:`ensure`; the list is corrupt.
        """
        try:
            return fetching.manifest(self.project, md5, name, remote=remote)
        except (EnvironmentFault, ProjectError) as error:
            raise _unasked({md5: name}, 1, name, error) from error

    def ensure(
        self,
        wanted: Mapping[str, str],
        name: str,
        *,
        remote: str | None = None,
        beside: Mapping[str, Path] | None = None,
    ) -> None:
        """See to it that the cache has these objects.

        Parameters
        ----------
        wanted
            md5 -> what messages call it (a chunk's file).
        name
            The dataset with its revision, for messages.
        remote
            Remote that they are kept on, where not the default one.
        beside
            md5 -> a file of the workspace that may still hold these bytes.

        Raises
        ------
        DataMissingError
            Some are neither in the cache nor on the remote, or what the remote has is corrupt.
        EnvironmentFault
            The remote did not answer.
        """
        lacking = {md5: said for md5, said in wanted.items() if not self.path(md5).is_file()}
        for md5 in list(lacking):
            file = (beside or {}).get(md5)
            if file is not None and file.is_file() and file_md5(str(file)) == md5:
                self._copy(md5, file)
                del lacking[md5]
        try:
            fetching.fetch(self.project, lacking, name, remote=remote, count=len(wanted))
        except (EnvironmentFault, ProjectError) as error:
            raise _unasked(lacking, len(wanted), name, error) from error

    def _copy(self, md5: str, file: Path) -> None:
        """Put a copy of a checked file into the cache."""
        target = self.path(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(file, partial)
        fetching.keep(partial, target)


def _unasked(lacking: Mapping[str, str], count: int, name: str, error: EmdvcError) -> DataMissingError:
    many = f"{len(lacking)} of {count} files" if count > 1 else "the data"
    return DataMissingError(
        f"{many} of {name} {'are' if count > 1 else 'is'} not in the cache, and the remote cannot be asked",
        evidence=f"first missing: {next(iter(lacking.values()))} ({error.cause})",
        hint=error.hint or "whoever computed or added it runs: emdvc push",
    )
