"""What ``emdvc save`` refuses: changed raw data, data without version control, damaged sidecars."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import Code, ConflictError, MetadataError, UsageError
from emdvc.formats import registry
from emdvc.formats import sidecar as sidecars
from emdvc.history import edited, git
from emdvc.history.batch import Batch
from emdvc.history.project import Project
from emdvc.history.raw.checking import check, on_purpose, undone, way_back
from emdvc.history.raw.pointers import GitTree, WorkspaceTree, is_pointer
from emdvc.history.raw.revisions import unshared
from emdvc.history.raw.rules import Loss, losses
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path
from emdvc.history.workspace.stage_state import StageState
from emdvc.model import record as rec

#: Bytes from which on a file that is under no version control is taken for data, not for a script.
LARGE = 10_000_000
#: Extensions of instruments' files that other programs write too: outside raw/ such a small file is no reason to stop.
_COMMON = frozenset(
    [".tif", ".tiff", ".npy", ".npz", ".h5", ".hdf5", ".xml", ".raw", ".bin", ".txt", ".zip", ".png", ".jpg", ".json"]
)


def refuse_changed_raw(project: Project, states: list[StageState], changes: list[git.Change]) -> None:
    """Refuse raw data that is not what was recorded, or that was recorded anew, or dropped, without a reason.

    What was committed past emdvc and is not shared yet is looked at, too.

    Raises
    ------
    ConflictError
        The way back and the way to do it on purpose are named.
    """
    for state in states:
        for name, how in state.changed_outs.items() if state.source else ():
            if how == "modified" and edited.of(project.path(name)) is None:
                raise _raw_changed(name, "its bytes are not those that were recorded", f"dvc checkout --force {name}")
    root = project.git_root
    head = git.head(root)
    if head is None:
        return
    pointers = [change.path for change in changes if is_pointer(change.path)]
    with Batch(root) as batch:
        then, now = GitTree(head.oid, batch), WorkspaceTree(root)
        for loss in losses(then, now, pointers):
            if not undone(loss, then, now, root, batch):
                raise _lost(project, loss)
    for found in check(root, [unshared(root)], WorkspaceTree(root)).findings:
        raise ConflictError(
            f"the raw data {found.path} was {found.how} in a commit",
            code=Code.RAW_CHANGED,
            evidence=f"commit {found.where} has no reason for it; {found.recorded_in} still records {found.before}",
            hint=f"back to what was recorded: {found.remedy}; on purpose: {found.on_purpose}",
        )


def _lost(project: Project, loss: Loss) -> ConflictError:
    raw = loss.raw
    path = raw.path.relative_to(project.prefix) if raw.path.is_relative_to(project.prefix) else raw.path
    if loss.how == "made editable":
        return ConflictError(
            f"the raw data {path} was declared as edited data",
            code=Code.RAW_CHANGED,
            evidence=f"{raw.pointer} declares it, its sidecar does not know why",
            hint=f"back to what was recorded: {way_back(raw, 'HEAD')}; on purpose: {on_purpose(raw, loss)}",
        )
    if loss.how == "changed":
        back = f"git checkout HEAD -- {raw.pointer} && dvc checkout --force {path}"
        return _raw_changed(str(path), f"{raw.pointer} points to other bytes, its sidecar does not know why", back)
    what = "names no bytes any more" if loss.how == "emptied" else "is gone"
    return ConflictError(
        f"the raw data {path} was dropped",
        code=Code.RAW_CHANGED,
        evidence=f"{raw.pointer} {what}, and no other pointer records these bytes",
        hint=f"back to what was recorded: {way_back(raw, 'HEAD')}; on purpose: {on_purpose(raw, loss)}",
    )


def repointed(project: Project, data: PurePosixPath) -> bool:
    """Say whether a plain ``dvc add`` put other bytes in the place of those that the sidecar speaks of."""
    if git.head(project.git_root) is None:
        return False
    with Snapshot(project, "HEAD") as then, Snapshot(project) as now:
        return _repointed(then, now, data.with_name(f"{data.name}.dvc"))


def _repointed(then: Snapshot, now: Snapshot, pointer: PurePosixPath) -> bool:
    """Say whether other bytes were put under version control past emdvc: without a reason in the sidecar."""
    old, new = then.text(pointer), now.text(pointer)
    sidecar = sidecar_path(data_path(pointer))
    before, after = then.text(sidecar), now.text(sidecar)
    if old is None or new is None or before is None or after is None or _md5(old) == _md5(new):
        return False
    return bool(_bytes_of(before) == _bytes_of(after))


def _md5(text: str) -> Any:
    outs = (sidecars.load_yaml(text, "a .dvc file") or {}).get("outs") or [{}]
    return outs[0].get("md5")


def _bytes_of(text: str) -> Any:
    return (sidecars.load_yaml(text, "a sidecar").get("source") or {}).get("files")


def _raw_changed(path: str, evidence: str, back: str) -> ConflictError:
    return ConflictError(
        f"the raw data {path} was changed",
        code=Code.RAW_CHANGED,
        evidence=evidence,
        hint=f'back to what was recorded: {back}; on purpose: emdvc add {path} --replace "why"',
    )


def refuse_unversioned(project: Project, changes: list[git.Change]) -> None:
    """Refuse data that nobody put under version control: it would be lost, or swell the history.

    Raises
    ------
    UsageError
        The first such file is named.
    """
    known = {extension for info in registry.readers() for extension in info.extensions}
    for change in changes:
        path = project.git_root / change.path
        if not (change.untracked or change.index == "A") or not path.is_file():
            continue
        relative = project.relative(path)
        store = next((folder for folder in reversed(relative.parents) if registry.is_store(project.path(folder))), None)
        suffix = path.suffix.lower()
        instrument = suffix in known and (suffix not in _COMMON or relative.parts[0] == "raw")
        large = path.stat().st_size > LARGE
        if store is not None or instrument or large:
            data = store or relative
            why = "a Zarr store" if store else "an instrument's file" if instrument else "too large for git"
            raise UsageError(
                f"{data} is under no version control",
                evidence=f"it is {why}" + (f" ({path.stat().st_size / 1e6:.0f} MB)" if large and not store else ""),
                hint=f"emdvc add {data}, or list it in .gitignore",
            )


def check_sidecars(project: Project, changes: list[git.Change]) -> None:
    """Check the sidecars that changed: a person may have edited them.

    Raises
    ------
    MetadataError
        One is damaged, or holds an impossible unit.
    """
    for change in changes:
        path = project.git_root / change.path
        if path.name.endswith(sidecars.SUFFIX) and path.is_file():
            try:
                rec.check(sidecars.read(path).record)
            except MetadataError as error:
                raise MetadataError(
                    f"{project.relative(path)}: {error.cause}",
                    code=error.code,
                    evidence=error.evidence,
                    hint=error.hint or f"git diff {project.relative(path)}",
                ) from error
