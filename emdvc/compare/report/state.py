"""What a report tells of a project, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.project import ProjectDifference
from emdvc.history import git
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.experiments import Experiment
from emdvc.history.git import Commit
from emdvc.history.pipeline_at import StageAt
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.run_records import RunRecord
from emdvc.model.sidecar import Sidecar

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class DatasetState:
    """A dataset at the revision.

    Parameters
    ----------
    path
        Relative to the project.
    sidecar
        What is known of it, with what it inherits.
    own_keys
        Keys of the record that its own sidecar holds.
    recorded
        Its bytes; None where DVC keeps none.
    stage
        Name of the stage that writes it; None for raw data.
    runs
        Who computed it, the latest first; empty where nothing is noted.
    commit
        The commit that brought it; None where the history that is here does not tell.
    picture
        Where its picture lies; None where it has none.
    """

    path: PurePosixPath
    sidecar: Sidecar
    own_keys: frozenset[str] = frozenset()
    recorded: Recorded | None = None
    stage: str | None = None
    runs: tuple[RunRecord, ...] = ()
    commit: Commit | None = None
    picture: PurePosixPath | None = None

    @property
    def kind(self) -> str:
        """``raw`` or ``result``."""
        return self.sidecar.kind


@dataclass(frozen=True, slots=True)
class Verification:
    """What ``emdvc verify`` found.

    Parameters
    ----------
    scope
        ``stages`` (computed again and compared) or ``bytes`` (read again and compared with their checksums).
    ok
        Whether all was well.
    when, who, version
        Time, author, version of emdvc.
    stages
        Stage -> ``bit-identical``, ``within tolerance``, ``different``, ``failed``.
    commit
        The commit that was verified.
    later
        Number of commits since then up to the revision.
    same
        Datasets whose bytes are those that were verified: for them the verdict holds.
    """

    scope: str
    ok: bool
    when: str = ""
    who: str = ""
    version: str = ""
    stages: Mapping[str, str] | None = None
    commit: str = ""
    later: int = 0
    same: frozenset[PurePosixPath] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "scope": self.scope,
            "ok": self.ok,
            "when": self.when,
            "who": self.who,
            "emdvc": self.version,
            "stages": dict(self.stages or {}),
            "commit": self.commit,
            "commits_since": self.later,
            "same": sorted(map(str, self.same)),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a project.

    Parameters
    ----------
    project
        Where it is.
    title
        Heading of its README, else its name.
    commit
        The commit that is told of.
    branch
        Its branch; None where no branch was meant.
    before
        The commit that it is compared with; None: none.
    datasets
        Raw data first, then results, each by path.
    stages
        The pipeline.
    parameters
        Leaves of params.yaml by dotted key.
    difference
        What differs from `before`; None without one.
    verified
        The last verification of each scope.
    problems
        What could not be read.
    pictures
        md5 of the pictures that DVC keeps instead of git.
    here
        Datasets whose bytes lie in the workspace as they are recorded at the revision.
    experiments
        Experiments among `commit` and `before`, where they were named as such.
    """

    project: Project
    title: str
    commit: Commit
    branch: str | None = None
    before: Commit | None = None
    datasets: tuple[DatasetState, ...] = ()
    stages: tuple[StageAt, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    difference: ProjectDifference | None = None
    verified: tuple[Verification, ...] = ()
    problems: tuple[str, ...] = ()
    pictures: Mapping[PurePosixPath, str] = field(default_factory=dict)
    here: frozenset[PurePosixPath] = frozenset()
    experiments: tuple[Experiment, ...] = ()

    def called(self, commit: Commit) -> str:
        """Return what a commit is called: its short id, with the name of the experiment that it is."""
        name = next((one.name for one in self.experiments if one.oid == commit.oid), None)
        return f"{commit.short} (experiment {name})" if name else commit.short

    def picture(self, dataset: DatasetState) -> bytes | None:
        """Return the picture that was committed with a result (PNG); None where there is none, or none that is here."""
        path = dataset.picture
        if path is None:
            return None
        if path in self.pictures:
            kept = object_path(cache_folder(self.project), self.pictures[path])
            found = kept.read_bytes() if kept.is_file() else None
        else:
            found = git.show(self.commit.oid, self.project.in_git(path), self.project.git_root)
        return found if found is not None and found.startswith(_PNG) else None
