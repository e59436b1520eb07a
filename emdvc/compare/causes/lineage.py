"""What a revision says of how a result came to be: its stage in dvc.lock, its sidecar, the files of the project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.log.sidecar_text import parsed
from emdvc.compare.state import without_vendor
from emdvc.history.lock_text import recorded_md5, writer
from emdvc.history.recorded import LOCK, LockedStage
from emdvc.history.snapshot import Snapshot, sidecar_path
from emdvc.model.sidecar import Sidecar


class Lineage:
    """One revision, asked how its results came to be.

    Parameters
    ----------
    snapshot
        The revision, or the workspace.
    locks
        Every dvc.lock that there may be, relative to the project; by default those that the revision has.
    """

    def __init__(self, snapshot: Snapshot, locks: Sequence[PurePosixPath] | None = None) -> None:
        self.snapshot = snapshot
        self._locks = locks

    @property
    def locks(self) -> Sequence[PurePosixPath]:
        """Every dvc.lock, the one at the project's root first."""
        if self._locks is None:
            found = [file for file in self.snapshot.files() if file.name == LOCK]
            self._locks = sorted(found, key=lambda file: (len(file.parts), file))
        return self._locks

    def text(self, path: PurePosixPath) -> str | None:
        """Return the text of a file, or None where it is not there."""
        return self.snapshot.text(path)

    def stage(self, path: PurePosixPath) -> LockedStage | None:
        """Return what is recorded of the stage that wrote a path.

        Raises
        ------
        MetadataError
            A dvc.lock is no YAML.
        """
        found = (writer(self.text(file), file, path) for file in self.locks)
        return next((stage for stage in found if stage is not None), None)

    def md5(self, path: PurePosixPath) -> str | None:
        """Return the md5 that dvc.lock records of a path; None where it records none."""
        stage = self.stage(path)
        return recorded_md5(stage, path) if stage is not None else None

    def own_text(self, path: PurePosixPath) -> str | None:
        """Return the text of a dataset's sidecar; None where it has none."""
        return self.text(sidecar_path(path))

    def sidecar(self, path: PurePosixPath) -> Sidecar | None:
        """Return a dataset's sidecar without what it inherits; None where there is none, or a damaged one."""
        text = self.own_text(path)
        return parsed(without_vendor(text)) if text is not None else None

    def provenance(self, path: PurePosixPath) -> dict[str, Any] | None:
        """Return how a sidecar says that a result came to be; None where no sidecar does."""
        sidecar = self.sidecar(path)
        return sidecar.provenance or None if sidecar is not None else None

    def digests(self, path: PurePosixPath) -> dict[str, str]:
        """Return the content digests of a dataset's arrays; empty where one is not known."""
        sidecar = self.sidecar(path)
        variables = sidecar.variables if sidecar is not None else {}
        found = {name: info.digest for name, info in variables.items()}
        return found if all(found.values()) else {}
