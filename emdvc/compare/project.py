"""Two revisions of a project, dataset by dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.dataset import DatasetDifference, compare
from emdvc.compare.leaves import keys_of
from emdvc.compare.verdict import Verdict, strongest
from emdvc.errors import Code, DataMissingError, UsageError, suggest
from emdvc.history import git
from emdvc.history.project import Project
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
    """

    before: str
    after: str | None
    datasets: tuple[DatasetDifference, ...] = ()
    compared: int = 0

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
            "verdict": str(self.verdict),
            "compared": self.compared,
            "datasets": [difference.to_dict() for difference in self.datasets],
        }


def compare_revisions(
    project: Project,
    before: str = "HEAD",
    after: str | None = None,
    paths: Sequence[PurePosixPath] = (),
    *,
    volatile: Iterable[str] = (),
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
    volatile
        Keys of the record that change without meaning anything.

    Raises
    ------
    UsageError
        There is no such revision.
    DataMissingError
        A path holds no dataset at either revision.
    """
    with Snapshot(project, before) as old, Snapshot(project, after) as new:
        known = {*old.datasets(), *new.datasets()}
        chosen = sorted(_chosen(known, paths))
        found = [_difference(old, new, path, volatile) for path in chosen]
    differing = sorted((d for d in found if d), key=lambda d: (d.kind != "raw", str(d.path)))
    return ProjectDifference(before, after, tuple(differing), len(chosen))


def compare_datasets(before: str, after: str) -> ProjectDifference:
    """Return the difference of two datasets, each named as ``PATH`` or ``PATH@REV``; they need not be in a project.

    Raises
    ------
    DataMissingError, UsageError, MetadataError, FormatError
        As :func:`emdvc.compare.state.find`.
    """
    from emdvc.compare.state import find

    old, new = find(before), find(after)
    difference = compare(old.sidecar, new.sidecar, new.path)
    return ProjectDifference(old.name, new.name, (difference,) if difference else (), 1)


def is_revision(word: str, project: Project) -> bool:
    """Say whether a word names a revision rather than a path.

    Raises
    ------
    UsageError
        It could be both, or is neither.
    """
    try:
        git.resolve(word, project.git_root)
        revision, unknown = True, None
    except UsageError as error:
        revision, unknown = False, error
    path = is_path(word, project)
    if revision and path:
        raise UsageError(
            f"'{word}' is both a revision and a path",
            evidence="what was meant cannot be told",
            hint=f"emdvc diff {word} -- for the revision, emdvc diff -- {word} for the path",
        )
    if unknown is not None and not path:
        raise unknown
    return revision


def is_path(word: str, project: Project) -> bool:
    """Say whether a word names a dataset, its sidecar, its ``.dvc`` file or a folder, here or in the last commit."""
    try:
        path = project.relative(word)
    except UsageError:
        return False
    data = project.path(data_path(path))
    pointers = (data.with_name(data.name + ".dvc"), project.path(sidecar_path(data_path(path))))
    if project.path(path).exists() or any(pointer.exists() for pointer in pointers if data.name):
        return True
    if git.head(project.git_root) is None:
        return False
    with Snapshot(project, "HEAD") as last:
        return any(known in (path, data_path(path)) or known.is_relative_to(path) for known in last.datasets())


def _chosen(known: set[PurePosixPath], paths: Sequence[PurePosixPath]) -> set[PurePosixPath]:
    if not paths:
        return known
    chosen: set[PurePosixPath] = set()
    for path in paths:
        data = data_path(path)
        below = {candidate for candidate in known if candidate in (path, data) or candidate.is_relative_to(path)}
        if not below:
            near = suggest(str(path), [str(candidate) for candidate in known])
            raise DataMissingError(
                f"no dataset {path} is recorded at either revision",
                code=Code.NOT_FOUND,
                hint=f"did you mean {near}?" if near else "emdvc diff without a path compares all",
            )
        chosen |= below
    return chosen


def _difference(old: Snapshot, new: Snapshot, path: PurePosixPath, volatile: Iterable[str]) -> DatasetDifference:
    texts = [snapshot.text(sidecar_path(path)) for snapshot in (old, new)]
    if texts[0] == texts[1] and texts[0] is not None and "\ninherits:" not in texts[0]:
        return DatasetDifference(path)  # the same text, and nothing that it takes from elsewhere
    states: list[Sidecar | None] = []
    own: frozenset[str] | None = frozenset()
    for snapshot, text in zip((old, new), texts, strict=True):
        states.append(snapshot.sidecar(path) if text is not None else None)
        alone = snapshot.sidecar(path, resolved=False) if text is not None else None
        if own is not None and alone is not None:
            own = None if alone.inherits is None else own | keys_of(alone.record)
    return compare(states[0], states[1], path, volatile=volatile, own=own)
