"""What ``dvc repro`` would run, and because of which key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from emdvc.history import yaml_files
from emdvc.history.change import KeyChange
from emdvc.history.project import Project
from emdvc.history.workspace.stage_state import StageState, absent

__all__ = ["Rerun", "absent", "would_run"]

#: Reads a YAML file; empty where there is none.
Read = Callable[[Path], dict[str, Any]]


class Rerun(NamedTuple):
    """A stage that would run, and why: in words, and by key where keys changed."""

    stage: str
    because: tuple[str, ...]
    keys: tuple[KeyChange, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"stage": self.stage, "because": list(self.because), "keys": [key.to_dict() for key in self.keys]}


def would_run(project: Project, states: Iterable[StageState], read: Read = yaml_files.read) -> list[Rerun]:
    """Return the stages that ``dvc repro`` would run, in their order, those downstream of another included.

    That data was not fetched is no reason: see :func:`absent`.

    Parameters
    ----------
    states
        State of every stage and ``.dvc`` file, as :func:`emdvc.history.dvc_pipeline.states` gives them.
    read
        Reads a YAML file.
    """
    states = list(states)
    missing = set(absent(states))
    by_key = any(state.changed_params for state in states)
    lock = (read(project.root / "dvc.lock").get("stages") or {}) if by_key else {}
    recomputed: dict[str, str] = {}
    found = []
    for state in _in_order([state for state in states if not state.source]):
        if state.frozen:
            continue
        upstream = [dep for dep in state.deps if _within(dep, recomputed) is not None]
        skipped = {*upstream, *missing}
        because, keys = _reasons(project, state, lock.get(state.name) or {}, skipped, read)
        because += [f"{dep} is recomputed" for dep in upstream]
        if because:
            found.append(Rerun(state.name, tuple(because), tuple(keys)))
            recomputed |= dict.fromkeys(state.outs, state.name)
    return found


def _in_order(states: list[StageState]) -> list[StageState]:
    """Return stages so that each comes after those whose outputs it reads."""
    ordered: list[StageState] = []
    waiting = list(states)
    while waiting:
        outs = {out: state.name for state in waiting for out in state.outs}
        ready = [state for state in waiting if all(_within(dep, outs) in (None, state.name) for dep in state.deps)]
        ordered += ready or waiting  # a cycle is DVC's to complain about
        waiting = [state for state in waiting if ready and state not in ready]
    return ordered


def _within(path: str, outs: dict[str, str]) -> str | None:
    """Return what is kept for the output that a path is, lies in, or contains."""
    mine = PurePosixPath(path)
    for out, name in outs.items():
        theirs = PurePosixPath(out)
        if mine == theirs or theirs in mine.parents or mine in theirs.parents:
            return name
    return None


def _reasons(
    project: Project, state: StageState, locked: dict[str, Any], skipped: set[str], read: Read
) -> tuple[list[str], list[KeyChange]]:
    if state.never_run:
        return ["it never ran"], []
    because: list[str] = []
    keys: list[KeyChange] = []
    if state.changed_command:
        because.append("its command changed")
    if state.always:
        because.append("it always runs")
    for file, changed in state.changed_params.items():
        reasons = _key_reasons(project, file, changed, (locked.get("params") or {}).get(file) or {}, read)
        because += [text for text, _ in reasons]
        keys += [key for _, key in reasons if key is not None]
    for dep, how in state.changed_deps.items():
        if dep not in skipped:
            because.append(f"{dep} {_HOW.get(how, how)}")
    because += [f"{out} {_HOW.get(how, how)}" for out, how in state.changed_outs.items() if out not in skipped]
    return because, keys


_HOW = {
    "modified": "changed",
    "deleted": "is not here",
    "new": "is new",
}


def _key_reasons(
    project: Project, file: str, changed: dict[str, str], locked: dict[str, Any], read: Read
) -> list[tuple[str, KeyChange | None]]:
    from emdvc.formats.sidecar import SUFFIX
    from emdvc.history.changes import same_value, tree_leaves
    from emdvc.history.stages import POINTER_KEYS

    tree = read(project.root / file)
    found: list[tuple[str, KeyChange | None]] = []
    for key, how in changed.items():
        if key in POINTER_KEYS and file.endswith(SUFFIX) and how == "modified":
            # what stands for data that is read in place
            what = "the bytes" if key == POINTER_KEYS[0] else "the numbers"
            found.append((f"{what} of {file.removesuffix(SUFFIX)} changed", None))
            continue
        old = tree_leaves(locked.get(key), key) if key in locked else {}
        new = tree_leaves(_at(tree, key), key)
        where = file.removesuffix(SUFFIX)
        differing = [
            KeyChange(where, name, old.get(name), new.get(name))
            for name in dict.fromkeys([*old, *new])
            if not same_value(old.get(name), new.get(name))
        ]
        if how in ("new", "deleted") or not differing:
            # the same quantity written in another unit is another text to DVC
            text = {"new": "is a new dependency", "deleted": "is gone"}.get(how, "is written in another way")
            found.append((f"{key} of {where} {text}", None))
            continue
        for change in differing:
            found.append((_sentence(file, change), change))
    return found


def _sentence(file: str, change: KeyChange) -> str:
    from emdvc.formats.sidecar import SUFFIX
    from emdvc.history.stages import STEPS_FILE

    if file == STEPS_FILE:
        return f"the step {change.key} has another version: {change}"
    if file.endswith(SUFFIX):
        return f"{change.key} of {change.where}: {change}"
    return f"{change.key}: {change}" if file == "params.yaml" else f"{change.key} in {file}: {change}"


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree
