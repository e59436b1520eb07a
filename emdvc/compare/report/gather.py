"""The state of a project at a revision: everything that a report tells, gathered without a checkout.

Git's objects are read as text; DVC is not asked and no data is needed. With a second revision, what differs is part of
it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.leaves import keys_of
from emdvc.compare.project import Asked, compare_revisions
from emdvc.compare.report.state import DatasetState, Report, Verification
from emdvc.compare.state import without_vendor
from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.history import git, notes, run_records
from emdvc.history.brought import brought_by
from emdvc.history.experiments import among
from emdvc.history.pipeline_at import StageAt, stages_at
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot, sidecar_path
from emdvc.model.sidecar import Sidecar


def gather(
    project: Project, revision: str = "HEAD", before: str | None = None, *, asked: Asked | None = None
) -> Report:
    """Return the state of a project at a revision.

    Parameters
    ----------
    project
        The project.
    revision, before
        Names of commits; with `before` the difference is part of the report.
    asked
        How the two are compared; by default numbers are read where they may differ.

    Raises
    ------
    UsageError
        There is no such revision.
    MetadataError
        dvc.yaml or dvc.lock is no YAML there.
    """
    root = project.git_root
    commit = git.commit_of(git.resolve(revision, root), root)
    earlier = git.commit_of(git.resolve(before, root), root) if before is not None else None
    assert commit is not None
    # by their ids: who reads a report has no HEAD
    difference = compare_revisions(project, earlier.short, commit.short, asked=asked) if earlier is not None else None
    noted = notes.read_all(root, commit.oid)
    with Snapshot(project, commit.oid) as snapshot:
        stages, kept = stages_at(snapshot), recorded(snapshot)
        datasets, problems = _datasets(snapshot, stages, kept, noted)
        files = set(snapshot.files())
        return Report(
            project,
            _title(snapshot),
            commit,
            _branch(project, revision),
            earlier,
            tuple(datasets),
            tuple(stages),
            tuple(_parameters(snapshot)),
            difference,
            tuple(_verified(project, commit.oid, noted, kept)),
            tuple(problems),
            {path: one.md5 for path, one in kept.items() if path.suffix == ".png" and path not in files},
            _here(project, kept),
            tuple(among((revision, before), root)),
        )


def _datasets(
    snapshot: Snapshot,
    stages: list[StageAt],
    kept: Mapping[PurePosixPath, Recorded],
    noted: Mapping[str, Mapping[str, Any]],
) -> tuple[list[DatasetState], list[str]]:
    assert snapshot.oid is not None
    runs = run_records.by_result(entry for kinds in noted.values() for entry in kinds.get(run_records.KIND, ()))
    # of an experiment nothing is noted before its result is on a branch
    waiting = run_records.by_result(record.to_dict() for _, record in run_records.waiting(snapshot.project))
    producers = {out: stage.name for stage in stages for out in stage.outs}
    paths = snapshot.datasets()
    commits = brought_by(snapshot.project, snapshot.oid, map(sidecar_path, paths))
    pictures = {file for file in (*snapshot.files(), *kept) if file.suffix == ".png"}
    found, problems = [], []
    for path in paths:
        try:
            alone, sidecar = _sidecar(snapshot, path)
        except EmdvcError as error:
            problems.append(f"{path}: {error.cause}" + (f" ({error.evidence})" if error.evidence else ""))
            continue
        key = (path, run_records.key(run_records.digests_of(alone)))
        picture = path.with_suffix(".png")
        found.append(
            DatasetState(
                path,
                sidecar,
                keys_of(alone.record),
                kept.get(path),
                producers.get(path),
                tuple(runs.get(key) or waiting.get(key) or ()),
                commits.get(sidecar_path(path)),
                picture if picture in pictures else None,
            )
        )
    return sorted(found, key=lambda one: (one.kind != "raw", str(one.path))), problems


def _sidecar(snapshot: Snapshot, path: PurePosixPath) -> tuple[Sidecar, Sidecar]:
    """Return the sidecar of a dataset as it stands, and with what it inherits; without the vendor's tree."""
    where = sidecar_path(path)

    def text_of(file: PurePosixPath) -> str | None:
        text = snapshot.text(file)
        return None if text is None else without_vendor(text)

    alone = sidecars.parse(text_of(where) or "", f"{where}@{snapshot.revision}")
    return alone, sidecars.resolve(alone, where, text_of)


def _here(project: Project, kept: Mapping[PurePosixPath, Recorded]) -> frozenset[PurePosixPath]:
    with Snapshot(project) as workspace:
        try:
            now = recorded(workspace)
        except EmdvcError:  # a .dvc file that is being edited; the report tells of a commit
            return frozenset()
    same = (path for path, one in kept.items() if one.md5 and path in now and now[path].md5 == one.md5)
    return frozenset(path for path in same if project.path(path).exists())


def _title(snapshot: Snapshot) -> str:
    for line in (snapshot.text("README.md") or "").splitlines():
        if line.startswith("# ") and line[2:].strip():
            return line[2:].strip().strip("#").strip()
    project = snapshot.project
    url = git.config("remote.origin.url", project.git_root)
    if url and project.root == project.git_root and re.match(r"[\w+]+://|[\w.-]+@", url):
        # a clone's folder may have any name, and so may a repository beside it
        name = url.rstrip("/\\").replace("\\", "/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
        return name or project.root.name
    return project.root.name


def _branch(project: Project, revision: str) -> str | None:
    root = project.git_root
    if revision not in ("HEAD", "@"):
        return revision if git.ref(f"refs/heads/{revision}", root) else None
    # on a machine of a forge no branch is checked out; it says in a variable which one is meant
    named = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")
    return git.branch(root) or next((os.environ[name] for name in named if os.environ.get(name)), None)


def _parameters(snapshot: Snapshot) -> list[tuple[str, Any]]:
    from emdvc.compare.leaves import leaves

    text = snapshot.text("params.yaml")
    content = sidecars.load_yaml(text, f"params.yaml@{snapshot.revision}") if text else None
    return list(leaves(content)) if isinstance(content, dict) else []


def _verified(
    project: Project, oid: str, noted: Mapping[str, Mapping[str, Any]], kept: Mapping[PurePosixPath, Recorded]
) -> list[Verification]:
    """Return the last verification of each scope, of the latest commit that has one."""
    found: dict[str, Verification] = {}
    for commit, kinds in noted.items():
        for entry in reversed(kinds.get("verified", ())):
            scope = str(entry.get("scope") or "stages")
            if scope not in found:
                stages = entry.get("stages")
                found[scope] = Verification(
                    scope,
                    bool(entry.get("ok")),
                    str(entry.get("when") or ""),
                    str(entry.get("who") or ""),
                    str(entry.get("emdvc") or ""),
                    {str(k): str(v) for k, v in stages.items()} if isinstance(stages, dict) else {},
                    commit,
                    _later(project, commit, oid),
                    _same(project, commit, kept),
                )
    return [found[scope] for scope in sorted(found, reverse=True)]


def _same(project: Project, commit: str, kept: Mapping[PurePosixPath, Recorded]) -> frozenset[PurePosixPath]:
    with Snapshot(project, commit) as verified:
        then = recorded(verified)
    return frozenset(path for path, one in kept.items() if one.md5 and path in then and then[path].md5 == one.md5)


def _later(project: Project, commit: str, oid: str) -> int:
    return int(git.git(["rev-list", "--count", f"{commit}..{oid}", "--"], project.git_root))
