"""What a revision records of one dataset: its sidecar and the md5 of its bytes, read through git."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from emdvc.compare.log.sidecar_text import parsed
from emdvc.compare.state import without_vendor
from emdvc.errors import MetadataError
from emdvc.history.batch import Batch
from emdvc.history.commits import Commit, Touched
from emdvc.history.lock_text import mentions, pointed_md5, writer, written_md5
from emdvc.history.project import Project
from emdvc.history.snapshot import sidecar_path
from emdvc.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class Facts:
    """What is recorded of a dataset at one revision.

    Parameters
    ----------
    text
        Of its sidecar; None where it has none.
    md5
        Of its bytes; None where they are not recorded.
    stage
        Address of the stage that wrote it; None for data that was added.
    """

    text: str | None = None
    md5: str | None = None
    stage: str | None = None

    @property
    def there(self) -> bool:
        """Whether the revision knows the dataset."""
        return self.text is not None or self.md5 is not None

    @property
    def sidecar(self) -> Sidecar | None:
        """The sidecar without the vendor's tree and without what it inherits; None where there is none."""
        return parsed(without_vendor(self.text)) if self.text is not None else None

    def differs(self, other: Facts) -> bool:
        """Say whether the dataset is another one: which stage wrote it makes no difference."""
        return (self.text, self.md5) != (other.text, other.md5)


class Places:
    """Where a project records one dataset, read at any revision through one git process.

    Parameters
    ----------
    project
        The project.
    data
        The dataset, relative to the project.
    batch
        Reads from git.
    locks
        Every dvc.lock in which it may stand, relative to the project.
    """

    def __init__(self, project: Project, data: PurePosixPath, batch: Batch, locks: Sequence[PurePosixPath]) -> None:
        self.project = project
        self.data = data
        self.batch = batch
        self.locks = locks
        self.sidecar = sidecar_path(data)
        self.pointer = data.with_name(data.name + ".dvc")
        self._mentions = lru_cache(maxsize=4)(self._mentions_in)

    @property
    def beside(self) -> list[str]:
        """The files of the dataset alone, as git speaks of them: its sidecar and its pointer."""
        return [self.project.in_git(path) for path in (self.sidecar, self.pointer)]

    @property
    def all(self) -> list[str]:
        """All files that may record the dataset, as git speaks of them."""
        return [*self.beside, *(self.project.in_git(lock) for lock in self.locks)]

    def at(self, revision: str | None) -> Facts:
        """Return what a revision records; None is the workspace.

        Raises
        ------
        MetadataError
            A dvc.lock or a ``.dvc`` file is damaged.
        """
        text = self._text(revision, self.sidecar)
        pointed = pointed_md5(self._text(revision, self.pointer), self.pointer, self.data)
        if pointed is not None:
            return Facts(text, pointed)
        for lock in self.locks:
            written = written_md5(self._text(revision, lock), lock, self.data)
            # a file inside an output is a dataset of its own only where it has a sidecar
            if written is not None and (text is not None or self._is_output(revision, lock)):
                return Facts(text, *written)
        return Facts(text)

    def change(self, commit: Commit) -> tuple[Facts, Facts] | None:
        """Return what was recorded before and after a commit; None where the commit left the dataset as it was.

        What a merge took over from one of its parents is no change of the merge.
        """
        locks = {self.project.in_git(lock): lock for lock in self.locks}
        if all(path in locks and not self._mentioned(touched, locks[path]) for path, touched in commit.files.items()):
            return None
        after = self._lenient(commit.oid)
        befores = [self._lenient(parent) for parent in commit.parents] or [Facts()]
        return (befores[0], after) if all(after.differs(before) for before in befores) else None

    def _mentioned(self, touched: Touched, lock: PurePosixPath) -> bool:
        """Say whether what a dvc.lock says of the dataset differs from all its former contents."""
        now = self._mentions(touched.after, lock)
        return all(self._mentions(before, lock) != now for before in touched.before)

    def _mentions_in(self, blob: str | None, lock: PurePosixPath) -> list[str]:
        return mentions(self.batch.text(blob), lock, self.data) if blob is not None else []

    def _is_output(self, revision: str | None, lock: PurePosixPath) -> bool:
        stage = writer(self._text(revision, lock), lock, self.data)
        return stage is not None and self.data in stage.outs

    def _lenient(self, revision: str) -> Facts:
        try:
            return self.at(revision)
        except MetadataError:  # a conflict that was committed by mistake must not hide the rest of the history
            return Facts(self._text(revision, self.sidecar))

    def _text(self, revision: str | None, path: PurePosixPath) -> str | None:
        if revision is not None:
            return self.batch.text(f"{revision}:{self.project.in_git(path)}")
        try:
            return self.project.path(path).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
