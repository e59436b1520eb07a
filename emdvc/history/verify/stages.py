"""Stages computed again in a temporary clone, and what dvc.lock had recorded of their outputs beside what came out."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from emdvc.errors import Code, EnvironmentFault, ProjectError, StepError, suggest
from emdvc.history import git
from emdvc.history.dvc_stages import Runnable, runnable
from emdvc.history.in_place.pointers import with_data
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project, shown
from emdvc.history.recorded import LOCK, LockedStage, Recorded, locked_stages, recorded
from emdvc.history.snapshot import Snapshot
from emdvc.history.verify import clone as recompute_clone
from emdvc.history.verify.clone import Listen
from emdvc.history.verify.recomputed import Recomputed, beside
from emdvc.history.verify.sources import Sources
from emdvc.history.verify.wanted_objects import kept_by_dvc


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What came out, as long as the temporary folder is there.

    Parameters
    ----------
    project
        The project; not touched.
    commit
        The commit that was computed again.
    clone
        The temporary clone, with the new outputs.
    stages
        Those that were computed, in order.
    left_out
        Stage -> why it was not computed.
    """

    project: Project
    commit: git.Commit
    clone: Project
    stages: tuple[Recomputed, ...]
    left_out: Mapping[str, str]
    _entries: Mapping[PurePosixPath, Recorded] = field(repr=False)
    _sources: Sources = field(repr=False)

    def recorded(self, path: PurePosixPath) -> Path:
        """Put what is recorded of an output beside the clone and return where; sidecars are there, too.

        Raises
        ------
        DataMissingError
            Its bytes are to be had nowhere.
        EnvironmentFault
            A remote did not answer.
        """
        folder = self.clone.git_root.parent / "recorded"
        with Snapshot(self.project, self.commit.oid) as snapshot:
            if not folder.exists():
                for data in snapshot.datasets():
                    sidecar = data.with_name(f"{data.name}.em.yaml")
                    target = folder / sidecar
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(snapshot.text(sidecar) or "", encoding="utf-8", newline="\n")
            kept = git.show(self.commit.oid, self.project.in_git(path), self.project.git_root)
        if kept is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(kept)
        else:
            self._sources.place(self._entries[path], folder)
        return folder / path


@contextmanager
def recomputed(
    project: Project,
    revision: str,
    names: Sequence[str] = (),
    *,
    folder: Path | None = None,
    keep: bool = False,
    listen: Listen,
    progress: Progress = silent,
) -> Iterator[Recomputation]:
    """Compute stages again, as a revision has them, in a temporary clone that is removed at the end.

    Parameters
    ----------
    revision
        Name of a commit; changes that are not committed do not count.
    names
        Stages to compute, each alone on what is recorded of its inputs; none: the whole pipeline from the raw data.
    folder
        Where the temporary folder is made; None: on the project's own disk.
    keep
        Leave it.
    listen
        Called with each line that DVC and the stages print.
    progress
        Shows bytes while inputs are copied.

    Raises
    ------
    UsageError, StepError, ProjectError
        There is no such revision or stage; nothing is recorded of any.
    DataMissingError
        An input is to be had nowhere.
    EnvironmentFault
        A remote did not answer, the disk has no room, git refused.
    """
    oid = git.resolve(revision, project.git_root)
    commit = git.commit_of(oid, project.git_root)
    assert commit is not None
    sources = Sources(project, progress)
    with recompute_clone.temporary_folder(project, folder, keep=keep) as temporary:
        clone = recompute_clone.clone(project, oid, temporary)
        with Snapshot(project, oid) as snapshot:
            before, entries = locked_stages(snapshot), recorded(snapshot)
            data = {entry.path: entry for entry in kept_by_dvc(snapshot)}
        known = with_data(clone, runnable(clone, temporary / "site"))
        stages, left_out = _chosen(known, before, names, revision)
        _check_room(temporary, stages, data)
        for lock in clone.root.rglob(LOCK):
            lock.unlink()  # what it has afterwards was computed
        frozen = [stage for stage in known if stage.frozen]
        printed = _run(clone, temporary, stages, frozen, data, sources, listen, alone=bool(names))
        with Snapshot(clone) as snapshot:
            after = locked_stages(snapshot)
        found = beside([stage for stage in stages if stage.address in before], before, after, data, printed)
        yield Recomputation(project, commit, clone, tuple(found), left_out, entries, sources)


def _chosen(
    stages: list[Runnable], before: Mapping[str, LockedStage], names: Sequence[str], revision: str
) -> tuple[list[Runnable], dict[str, str]]:
    wanted = list(stages)
    if names:
        for name in names:
            if not any(_called(stage, name) for stage in stages):
                near = suggest(name, [stage.address for stage in stages])
                raise StepError(
                    f"there is no stage '{name}' at {revision}",
                    code=Code.STAGE_UNKNOWN,
                    hint=f"did you mean {near}?" if near else "emdvc stage list",
                )
        wanted = [stage for stage in stages if any(_called(stage, name) for name in names)]
    left_out = {stage.address: "frozen" for stage in wanted if stage.frozen}
    wanted = [stage for stage in wanted if stage.address not in left_out]
    # one that never ran cannot be compared; another may still need what it computes
    left_out |= {stage.address: "nothing is recorded of it" for stage in wanted if stage.address not in before}
    if not any(stage.address in before for stage in wanted):
        raise ProjectError(
            f"there is nothing to compute again at {revision}",
            code=Code.STAGE_UNKNOWN,
            evidence="; ".join(f"{name}: {why}" for name, why in left_out.items()) or "it has no stages",
            hint="dvc repro && emdvc save, or emdvc verify --bytes",
        )
    return wanted, left_out


def _called(stage: Runnable, name: str) -> bool:
    """Say whether a stage is meant: by its name, or by that of the template that it was made from."""
    return name in (stage.address, stage.address.partition("@")[0])


def _check_room(folder: Path, stages: list[Runnable], data: Mapping[PurePosixPath, Recorded]) -> None:
    """Check that inputs, outputs, and one recorded output beside the computed one find room."""
    outs = {path for stage in stages for path in stage.outs if path in data}
    inputs = {entry.path for stage in stages for entry in _needed(stage.deps, data)} - outs
    sizes = [data[path].size or 0 for path in outs]
    needed = sum(data[path].size or 0 for path in inputs) + sum(sizes) + max(sizes, default=0)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EnvironmentFault(
            f"there is not enough room to compute this again: {_gb(needed)} are needed, {_gb(free)} are free",
            code=Code.DISK_FULL,
            evidence=f"in {shown(folder.parent)}",
            hint="emdvc verify --folder FOLDER-ON-ANOTHER-DISK, or name single stages",
        )


def _gb(count: int) -> str:
    return f"{count / 1e9:.3g} GB"


def _needed(deps: Iterable[PurePosixPath], data: Mapping[PurePosixPath, Recorded]) -> list[Recorded]:
    """Return the recorded files and directories that dependencies are, hold, or lie in."""
    return [
        entry
        for path, entry in data.items()
        if any(path.is_relative_to(dep) or dep.is_relative_to(path) for dep in deps)
    ]


def _run(
    clone: Project,
    temporary: Path,
    stages: list[Runnable],
    frozen: list[Runnable],
    data: Mapping[PurePosixPath, Recorded],
    sources: Sources,
    listen: Listen,
    *,
    alone: bool,
) -> dict[str, list[str]]:
    """Put the inputs in their places and run the stages; return what each printed."""
    options = ["--force", "--no-run-cache", "--no-commit", "--keep-going"]
    site = temporary / "site"
    computed = set() if alone else {out for stage in stages for out in stage.outs}
    deps = [dep for stage in stages for dep in stage.deps]
    if not alone:  # DVC looks at every output of a stage that it leaves alone
        deps += [out for stage in frozen if set(stage.outs) & set(deps) for out in stage.outs]
    for entry in _needed(deps, data):
        if entry.path not in computed:
            # a directory of which a stage reads a part; the whole where another reads the whole
            parts = [dep for dep in deps if dep != entry.path and dep.is_relative_to(entry.path)]
            whole = any(entry.path.is_relative_to(dep) for dep in deps)
            sources.place(entry, clone.root, () if whole else parts)
    if not alone:
        return recompute_clone.repro(clone, site, [*options, *(s.address for s in stages)], listen)
    printed: dict[str, list[str]] = {}
    # the last first: a stage whose input is another one's output reads what is recorded, not what is computed here
    for stage in reversed(stages):
        printed |= recompute_clone.repro(clone, site, [*options, "--single-item", stage.address], listen)
    return printed
