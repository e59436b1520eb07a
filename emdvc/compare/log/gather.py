"""The history of one dataset: each commit that changed it, and what it changed, from sidecars and manifests alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.causes.cause import Cause
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.log.changes import Chunks, Manifests, difference_of, verdict_of
from emdvc.compare.log.facts import Facts, Places
from emdvc.compare.log.verified import Verified, verified
from emdvc.compare.verdict import Verdict
from emdvc.history.batch import Batch
from emdvc.history.commits import Commit, touching
from emdvc.history.project import Project
from emdvc.history.recorded import LOCK


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit that changed a dataset.

    Parameters
    ----------
    commit
        The commit.
    difference
        What it changed, with the causes where the dataset is a result.
    chunks
        How many chunks; None where the manifests are not at hand.
    verified
        Whether these bytes were computed again and compared; None where nobody did.
    before, after
        What was recorded before the commit, and what it records.
    """

    commit: Commit
    difference: DatasetDifference
    chunks: Chunks | None = None
    verified: Verified | None = None
    before: Facts = field(default=Facts(), repr=False)
    after: Facts = field(default=Facts(), repr=False)

    @property
    def verdict(self) -> Verdict:
        """How much the change matters."""
        return verdict_of(self.difference, self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        found = self.difference
        return {
            "commit": self.commit.oid,
            "short": self.commit.short,
            "date": self.commit.date,
            "author": self.commit.author,
            "subject": self.commit.subject,
            "path": str(found.path),
            "before_path": str(found.before_path) if found.before_path is not None else None,
            "status": found.status,
            "verdict": str(self.verdict),
            "record": [change.to_dict() for change in found.record],
            "chunks": self.chunks.to_dict() if self.chunks is not None else None,
            "causes": [cause.to_dict() for cause in found.causes],
            "verified": self.verified.to_dict() if self.verified is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Log:
    """The history of a dataset; false when it has none.

    Parameters
    ----------
    path
        The dataset.
    revision
        Where the history begins; None: at the last commit, or with all branches.
    entries
        Newest first.
    more
        Whether there are older ones that were not asked for.
    uncommitted
        Whether the workspace differs from the last commit.
    """

    path: PurePosixPath
    revision: str | None
    entries: tuple[LogEntry, ...] = ()
    more: bool = False
    uncommitted: bool = False

    def __bool__(self) -> bool:
        """Say whether there are any commits."""
        return bool(self.entries)


@dataclass(frozen=True, slots=True)
class Range:
    """Which commits are asked for.

    Parameters
    ----------
    start
        The newest one; None: all branches.
    since
        Only later ones; a date as git understands it.
    limit
        At most so many.
    """

    start: str | None = "HEAD"
    since: str | None = None
    limit: int | None = None


class History:
    """The commits that changed a dataset.

    Parameters
    ----------
    project
        The project.
    batch
        Reads from git.
    """

    def __init__(self, project: Project, batch: Batch) -> None:
        self.project = project
        self.batch = batch
        self._manifests = Manifests(project)
        self._marks: dict[str, Verified] | None = None

    def entries(self, places: Places, wanted: Range, *, why: bool = True) -> Iterator[LogEntry]:
        """Yield each commit that changed a dataset, newest first; where it was renamed, on under its former name.

        Parameters
        ----------
        places
            Where the dataset is recorded.
        wanted
            Which commits are asked for.
        why
            Whether the causes and the numbers of chunks are, too, which takes longer.

        Raises
        ------
        EnvironmentFault
            Git failed.
        """
        start = wanted.start
        while True:
            came: tuple[Commit, Facts] | None = None
            for commit in touching(places.all, self.project.git_root, start, since=wanted.since):
                change = places.change(commit)
                if change is None:
                    continue
                if came is not None:
                    yield self.entry(places, came[0], Facts(), came[1])
                came = (commit, change[1]) if not change[0].there else None
                if came is None:
                    yield self.entry(places, commit, *change, why=why)
            if came is None:
                return
            from emdvc.compare.log.renames import former_name

            # the oldest one: there it was new, or had another name before
            commit, after = came
            former = former_name(self.project, self.batch, places, commit, after)
            if former is None:
                yield self.entry(places, commit, Facts(), after)
                return
            earlier = Places(self.project, former, self.batch, places.locks)
            yield self.entry(places, commit, earlier.at(commit.parents[0]), after, former, why=why)
            places, start = earlier, commit.parents[0]

    def entry(
        self,
        places: Places,
        commit: Commit,
        before: Facts,
        after: Facts,
        former: PurePosixPath | None = None,
        *,
        why: bool = False,
    ) -> LogEntry:
        """Return what a commit changed of a dataset.

        Parameters
        ----------
        places
            Where the dataset is recorded.
        commit
            The commit.
        before, after
            What was recorded before it, and what it records.
        former
            What the dataset was called before, where the commit renamed it.
        why
            Whether the causes and the number of chunks are asked for, which takes longer.
        """
        difference = difference_of(before, after, places.data, former)
        if why and difference.kind == "result" and before.there and after.there:
            difference = replace(difference, causes=self._causes(places, commit, former))
        chunks = self._manifests.chunks(before.md5, after.md5) if why else None
        if self._marks is None:
            self._marks = verified(self.project, places)
        return LogEntry(commit, difference, chunks, self._marks.get(after.md5 or ""), before, after)

    def _causes(self, places: Places, commit: Commit, former: PurePosixPath | None) -> tuple[Cause, ...]:
        from emdvc.compare.causes.lineage import Lineage
        from emdvc.compare.causes.search import Search
        from emdvc.history.snapshot import Snapshot

        old, new = (Snapshot(self.project, oid, batch=self.batch) for oid in (commit.parents[0], commit.oid))
        return Search(Lineage(old, places.locks), Lineage(new, places.locks)).of(places.data, former)


def locks_of(files: Sequence[PurePosixPath], data: PurePosixPath) -> list[PurePosixPath]:
    """Return every dvc.lock in which a dataset may stand: those above it first, then all others."""
    above = [folder / LOCK for folder in data.parents]
    return list(dict.fromkeys([*above, *(file for file in files if file.name == LOCK)]))
