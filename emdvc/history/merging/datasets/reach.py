"""The bytes of the sides of a dataset: from DVC's cache, else from the remote; and what is new, into the cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from emdvc.errors import DataMissingError, EmdvcError, ProjectError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.merging.datasets import manifests
from emdvc.history.objects import Objects
from emdvc.history.project import Project
from emdvc.history.protection import files_of


class Reach:
    """Where the bytes of one dataset come from.

    Parameters
    ----------
    project
        The project.
    name
        The dataset, for messages.
    here
        Where it lies in the workspace.
    remote
        Remote that it is kept on; None for the default one.
    """

    def __init__(self, project: Project, name: str, here: Path, remote: str | None = None) -> None:
        self.project, self.name, self.here, self._remote = project, name, here, remote
        self.cache = cache_folder(project)
        self._objects = Objects(project)

    def files(self, md5: str, side: str) -> dict[str, str]:
        """Return the list of a directory's files; it is fetched where the cache lacks it.

        Raises
        ------
        DataMissingError
            It is nowhere to be had.
        """
        return self._objects.manifest(md5, f"{self.name} ({side})", remote=self._remote)

    def bring(self, wanted: Mapping[str, str]) -> None:
        """Fetch what the cache lacks: md5 -> name of the file.

        Raises
        ------
        DataMissingError, EnvironmentFault
            Something is nowhere to be had; the remote did not answer.
        """
        self._objects.ensure(wanted, self.name, remote=self._remote)

    def try_to_bring(self, wanted: Mapping[str, str]) -> None:
        """Fetch what the cache lacks of an older state; what is nowhere any more is left out.

        Raises
        ------
        EnvironmentFault
            The remote did not answer.
        """
        from emdvc.history.transfer.fetching import fetch

        with suppress(DataMissingError, ProjectError):
            fetch(self.project, wanted, self.name, remote=self._remote)

    def read(self, md5: str) -> bytes:
        """Return the bytes of an object that was brought, or bring it."""
        path = object_path(self.cache, md5)
        if not path.is_file():
            self.bring({md5: self.name})
        return path.read_bytes()

    def maybe(self, md5: str) -> bytes | None:
        """Return the bytes of an object that was brought; None where it is not to be had."""
        path = object_path(self.cache, md5)
        return path.read_bytes() if path.is_file() else None

    def keep(self, content: bytes) -> str:
        """Put bytes into the cache and return their md5."""
        return manifests.keep_object(self.cache, content)

    def now(self, name: str) -> bytes | None:
        """Return the bytes of a file as it lies in the workspace's dataset; None where there is none."""
        try:
            return (self.here / name if name else self.here).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def all_now(self, folder: str) -> dict[str, str]:
        """Return name -> md5 of the files of a folder as they lie in the workspace; they are kept in the cache."""
        place = self.here / folder if folder else self.here
        found = {}
        for file in files_of(place):
            if file.is_file() and not file.name.endswith(".partial"):
                found[file.relative_to(self.here).as_posix()] = self.keep(file.read_bytes())
        return found

    def sizes(self, md5s: Mapping[str, str]) -> dict[str, int] | None:
        """Return the bytes of objects, asked of the remote where they are not here; None where it does not know."""
        found = {}
        for md5 in md5s:
            with suppress(OSError):
                found[md5] = object_path(self.cache, md5).stat().st_size
        lacking = [md5 for md5 in md5s if md5 not in found]
        if not lacking:
            return found
        from emdvc.history.in_place.origin import remote_or_origin
        from emdvc.history.storage import loop

        try:
            there = loop.run(remote_or_origin(self.project, self._remote).there(lacking))
        except EmdvcError:
            return None
        found.update({md5: stat.size for md5, stat in there.items()})
        return found if all(md5 in found for md5 in md5s) else None
