"""Two revisions of a project, dataset by dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath, PurePosixPath
from typing import Any

from emdvc.compare.dataset import DatasetDifference, compare
from emdvc.compare.leaves import keys_of
from emdvc.compare.numbers.arrays import Advance, Reading
from emdvc.compare.numbers.opening import Version, file_version, recorded_version, same_bytes, value_changes
from emdvc.compare.numbers.values import Tolerance
from emdvc.compare.pairing import chosen, plain_files, renamed
from emdvc.compare.settings import CompareSettings, settings
from emdvc.compare.state import State, find
from emdvc.compare.verdict import Verdict, strongest
from emdvc.errors import EmdvcError
from emdvc.formats.file_names import inherited_path
from emdvc.history.experiments import Experiment, among
from emdvc.history.objects import Objects
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded, recorded_in
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path
from emdvc.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class ProjectDifference:
    """What differs between two revisions; false when nothing does.

    Parameters
    ----------
    before, after
        The revisions as they were named; `after` is None for the workspace.
    datasets
        The datasets that differ, raw data first, then results, each by path.
    compared
        Number of datasets that were compared.
    experiments
        What of the two is the name of an experiment.
    """

    before: str
    after: str | None
    datasets: tuple[DatasetDifference, ...] = ()
    compared: int = 0
    experiments: tuple[Experiment, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The strongest of the datasets' verdicts."""
        return strongest(difference.verdict for difference in self.datasets)

    def __bool__(self) -> bool:
        """Say whether anything differs."""
        return bool(self.datasets)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as plain values."""
        return {
            "before": self.before,
            "after": self.after,
            "experiments": [one.to_dict() for one in self.experiments],
            "verdict": str(self.verdict),
            "compared": self.compared,
            "datasets": [difference.to_dict() for difference in self.datasets],
        }


#: Arrays up to this many bytes are read whole to be drawn.
_DRAWN = 64 << 20


@dataclass(frozen=True, slots=True)
class Asked:
    """How two revisions are compared.

    Parameters
    ----------
    reading
        How much of the numbers is read; None: none, the sidecars alone are compared.
    tolerance
        What is tolerated everywhere; nothing: as the project's settings say.
    """

    reading: Reading | None = Reading()  # noqa: RUF009 - a frozen value
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - a frozen value

    @classmethod
    def to_show(
        cls,
        *,
        values: bool = True,
        drawn: bool,
        tolerance: Tolerance = Tolerance(),  # noqa: B008 - a frozen value
        max_report: int | None = None,
        advance: Advance | None = None,
    ) -> Asked:
        """Return how to compare what a person looks at.

        Parameters
        ----------
        values
            Whether numbers are read.
        drawn
            Whether pictures are drawn: small arrays are then read whole. A terminal shows where on the scan
            something differs without that.
        tolerance, max_report, advance
            As in :class:`Reading`.
        """
        reading = Reading(max_report=max_report, draw=True, whole_below=_DRAWN if drawn else 0, advance=advance)
        return cls(reading if values else None, tolerance)


def compare_revisions(
    project: Project,
    before: str = "HEAD",
    after: str | None = None,
    paths: Sequence[PurePosixPath] = (),
    *,
    asked: Asked | None = None,
    other: Project | None = None,
) -> ProjectDifference:
    """Return the difference of two revisions.

    Parameters
    ----------
    project
        The project.
    before, after
        Names of commits; None for `after` is the workspace.
    paths
        Datasets, their sidecars or ``.dvc`` files, or folders, relative to the project; none: all.
    asked
        How they are compared; by default their numbers are read where they may differ.
    other
        Another project, whose revision `before` is.

    Raises
    ------
    UsageError
        There is no such revision.
    DataMissingError
        A path holds no dataset at either revision.
    """
    asked = asked or Asked()
    with Snapshot(other or project, before) as old, Snapshot(project, after) as new:
        names = set(old.datasets()), set(new.datasets())
        records = recorded_in(old, new)
        moved = renamed(old, new, names, records)
        wanted = chosen(names[0] | names[1] | plain_files(names[0] | names[1], records), paths)
        comparison = _Comparison(old, new, records, asked, settings(new).with_tolerance(asked.tolerance))
        pairs = {(moved.get(path, path), path) for path in wanted if path not in moved.values()}
        pairs |= {(was, path) for path, was in moved.items() if was in wanted}
        found = [comparison.difference(*pair) for pair in sorted(pairs, key=lambda pair: pair[1])]
    differing = sorted((d for d in found if d), key=lambda d: (d.kind != "raw", str(d.path)))
    named = [*among([before], (other or project).git_root), *among([after], project.git_root)]
    return ProjectDifference(before, after, tuple(differing), len(pairs), tuple(named))


def compare_datasets(before: str, after: str, *, asked: Asked | None = None) -> ProjectDifference:
    """Return the difference of two datasets, each named as ``PATH`` or ``PATH@REV``; they need not be in a project.

    Raises
    ------
    DataMissingError, UsageError, MetadataError, FormatError
        As :func:`emdvc.compare.state.find`.
    """
    asked = asked or Asked()
    old, new = find(before), find(after)
    difference = compare(old.sidecar, new.sidecar, new.path)
    if asked.reading is not None:
        reading = replace(asked.reading, tolerance=asked.tolerance)
        difference = _with_values(difference, _named(old, before), _named(new, after), reading)
        if all(change.verdict is Verdict.ENCODING for change in difference.values):
            files = old.revision is None and new.revision is None
            # where neither is here, the sidecars alone were compared
            differ = not (files and same_bytes(old.path, new.path)) and (not files or new.path.exists())
            difference = replace(difference, values=difference.values if differ else (), bytes_differ=differ)
    return ProjectDifference(old.name, new.name, (difference,) if difference else (), 1)


def _named(state: State, typed: str) -> Version:
    if state.revision is None:
        return file_version(state, typed)
    project = Project.find(state.path.parent)
    with Snapshot(project, state.revision) as snapshot:
        record = recorded(snapshot).get(project.relative(state.path))
    return recorded_version(Objects(project), record or _nothing(state.path), state.revision, state.sidecar)


def _nothing(path: PurePath) -> Recorded:
    return Recorded(PurePosixPath(path.as_posix()), "", None, None, PurePosixPath())


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two revisions, being compared."""

    old: Snapshot
    new: Snapshot
    records: tuple[dict[PurePosixPath, Recorded], dict[PurePosixPath, Recorded]]
    asked: Asked
    settings: CompareSettings
    objects: dict[Project, Objects] = field(default_factory=dict)

    def difference(self, was: PurePosixPath, path: PurePosixPath) -> DatasetDifference:
        """Return what differs of one dataset, which may have had another name."""
        texts = [self.old.text(sidecar_path(was)), self.new.text(sidecar_path(path))]
        records = self.records[0].get(was), self.records[1].get(path)
        if texts == [None, None]:
            return self._plain(path, records)
        bytes_differ = all(records) and records[0].md5 != records[1].md5  # type: ignore[union-attr]
        if was == path and not bytes_differ and self._same_texts(path):
            return DatasetDifference(path)
        sidecars, own = self._sidecars(texts, (was, path))
        found = compare(*sidecars, path, volatile=self.settings.volatile, own=own)
        if found.status != "changed":
            return found
        found = replace(found, bytes_differ=bool(bytes_differ))
        if was != path:
            found = replace(found, status="renamed", before_path=was)
        found = self._read(found, records) if bytes_differ else found
        return self._explained(found)

    def _same_texts(self, path: PurePosixPath) -> bool:
        """Say whether a sidecar is the same text on both sides, and all that it takes from: nothing is parsed."""
        seen: list[PurePosixPath] = []
        while path not in seen:
            seen.append(path)
            text = self.old.text(sidecar_path(path))
            if text is None or text != self.new.text(sidecar_path(path)):
                return False
            _, found, rest = text.partition("\ninherits: ")
            if not found:
                return "\ninherits:" not in text
            named = rest.partition("\n")[0].strip().strip("'\"")
            path = data_path(inherited_path(sidecar_path(path), named))
        return False

    def _plain(self, path: PurePosixPath, records: tuple[Recorded | None, Recorded | None]) -> DatasetDifference:
        """Return what differs of a file without a sidecar: what a script of the project's own wrote, say."""
        there = records[1] or records[0]
        kind = "raw" if there is None or there.stage is None else "result"
        if None in records:
            return DatasetDifference(path, "added" if records[0] is None else "removed", kind)
        nothing = Sidecar()
        found = DatasetDifference(path, kind=kind, bytes_differ=True, before_sidecar=nothing, after_sidecar=nothing)
        return self._explained(self._read(found, records))

    def _sidecars(
        self, texts: Sequence[str | None], paths: tuple[PurePosixPath, PurePosixPath]
    ) -> tuple[tuple[Sidecar | None, Sidecar | None], frozenset[str] | None]:
        """Return both sidecars, resolved, and the keys that they hold themselves; None: all."""
        states: list[Sidecar | None] = []
        own: frozenset[str] | None = frozenset()
        for snapshot, text, path in zip((self.old, self.new), texts, paths, strict=True):
            states.append(snapshot.sidecar(path) if text is not None else None)
            alone = snapshot.sidecar(path, resolved=False) if text is not None else None
            if own is not None and alone is not None:
                own = None if alone.inherits is None else own | keys_of(alone.record)
        return (states[0], states[1]), own

    def _read(self, found: DatasetDifference, records: tuple[Recorded | None, Recorded | None]) -> DatasetDifference:
        """Add what differs in the numbers."""
        sides = found.before_sidecar, found.after_sidecar
        if self.asked.reading is None or None in (*records, *sides):
            return found
        versions = [
            recorded_version(self._objects(snapshot.project), record, snapshot.revision, sidecar)
            for snapshot, record, sidecar in zip((self.old, self.new), records, sides, strict=True)
            if record is not None and sidecar is not None
        ]
        tolerance = self.settings.tolerance_for(found.path)
        return _with_values(found, versions[0], versions[1], replace(self.asked.reading, tolerance=tolerance))

    def _objects(self, project: Project) -> Objects:
        """Return the objects of a project; its settings are read once."""
        if project not in self.objects:
            self.objects[project] = Objects(project)
        return self.objects[project]

    def _explained(self, found: DatasetDifference) -> DatasetDifference:
        """Add why a result changed."""
        if found.kind != "result" or not (found.bytes_differ or found.variables or found.values):
            return found
        from emdvc.compare.causes.search import causes

        before = PurePosixPath(found.before_path) if found.before_path is not None else None
        return replace(found, causes=causes(self.old, self.new, PurePosixPath(found.path), before_path=before))


def _with_values(found: DatasetDifference, before: Version, after: Version, reading: Reading) -> DatasetDifference:
    try:
        return replace(found, values=value_changes(before, after, reading))
    except EmdvcError as error:
        # what the sidecars tell is worth saying though the bytes are not to be had
        why = error.cause + (f" ({error.evidence})" if error.evidence else "")
        return replace(found, unread=why)
