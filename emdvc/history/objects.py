"""The bytes that DVC recorded, by their md5: from the cache, from the workspace, or from a remote, each one checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from emdvc.errors import Code, DataMissingError, EmdvcError, ProjectError
from emdvc.history import dvc_manifest
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.project import Project
from emdvc.history.workspace.hashing import file_md5

#: Requests under way at a time: what a far remote needs so that its delay does not add up.
_AT_ONCE = 16


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
        self.ensure({md5: name}, name, remote=remote)
        files = dvc_manifest.manifest(self.cache, md5)
        if files is None:
            raise DataMissingError(
                f"the list of the files of {name} is corrupt",
                code=Code.DATA_CORRUPT,
                evidence=str(self.path(md5)),
                hint="emdvc verify --bytes --repair puts a good copy back where there is one",
            )
        return files

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
                self._keep(md5, file, copy=True)
                del lacking[md5]
        if lacking:
            self._fetch(lacking, len(wanted), name, remote)

    def _fetch(self, lacking: Mapping[str, str], count: int, name: str, remote: str | None) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        # in the cache's own folder, so that what arrived is renamed into its place
        with tempfile.TemporaryDirectory(prefix=".emdvc-", suffix=".tmp", dir=self.cache) as folder:
            files = {md5: Path(folder) / md5 for md5 in lacking}
            try:
                absent = self._get(files, remote)
            except EmdvcError as error:
                raise _missing(list(lacking), lacking, count, name, error) from error
            if absent:
                raise _missing(absent, lacking, count, name, None)
            for md5, file in files.items():
                if file_md5(str(file)) != md5.removesuffix(".dir"):
                    raise DataMissingError(
                        f"the remote's copy of a part of {name} is corrupt",
                        code=Code.DATA_CORRUPT,
                        evidence=f"{lacking[md5]}: its md5 is not {md5}",
                        hint="emdvc verify --bytes names every corrupt object",
                    )
                self._keep(md5, file, copy=False)

    def _get(self, files: Mapping[str, Path], remote: str | None) -> list[str]:
        """Fetch objects side by side and return those that the remote does not have."""
        from emdvc.history import dvc_objects, dvc_remote

        if remote is None:
            default = dvc_remote.default_remote(self.project)
            if default is None:
                hint = "emdvc init --remote lab=/path/or/s3://bucket"
                raise ProjectError("the project has no remote for its data", code=Code.REMOTE, hint=hint)
            remote = default.name
        (place,) = dvc_objects.remotes(self.project, [remote])
        with ThreadPoolExecutor(min(_AT_ONCE, len(files)), thread_name_prefix="emdvc-fetch") as pool:
            had = pool.map(lambda md5: place.get(md5, files[md5]), files)
            return [md5 for md5, there in zip(files, had, strict=True) if not there]

    def _keep(self, md5: str, file: Path, *, copy: bool) -> None:
        """Put a checked file into the cache, read-only as DVC has it."""
        target = self.path(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            shutil.copyfile(file, partial)
            file = partial
        with suppress(OSError):  # a file system without permissions
            file.chmod(0o444)
        file.replace(target)


def _missing(
    absent: list[str], said: Mapping[str, str], count: int, name: str, error: EmdvcError | None
) -> DataMissingError:
    many = f"{len(absent)} of {count} files" if count > 1 else "the data"
    where = "not in the cache, and the remote cannot be asked" if error else "neither in the cache nor on the remote"
    evidence = f"first missing: {said[absent[0]]}" + (f" ({error.cause})" if error else "")
    verb = "are" if count > 1 else "is"
    hint = "whoever computed or added it runs: dvc push"
    if error is not None:
        hint = error.hint or hint
    return DataMissingError(f"{many} of {name} {verb} {where}", evidence=evidence, hint=hint)
