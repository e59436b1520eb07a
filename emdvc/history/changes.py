"""What changed since the last commit, in the words of the field: raw data, metadata by key, parameters, scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.history import edited, git
from emdvc.history.change import Changes, FileChange, KeyChange, between
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.history.workspace.git_state import Branch, GitState
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity, is_quantity
from emdvc.model.sidecar import Sidecar

__all__ = [
    "Changes",
    "FileChange",
    "KeyChange",
    "between",
    "same_value",
    "sidecar_changes",
    "since_commit",
    "tree_leaves",
]

#: Parses a YAML text; the second argument says whose it is.
Load = Callable[[str, str], Any]

#: Files that describe the pipeline and are reported in their own way, or follow from others.
_OWN = ("params.yaml", "dvc.yaml", "dvc.lock", ".emdvc/steps.yaml")


def since_commit(project: Project, branch: Branch | None = None, load: Load = sidecars.load_yaml) -> Changes:
    """Return what differs from the last commit; before the first commit everything is new.

    Parameters
    ----------
    branch
        What git said before; None to ask it now.
    load
        Parses a YAML text; the second argument says whose it is.
    """
    if branch is None:
        with GitState(project) as asked:
            branch = asked.branch()
    # what a merge left in conflict holds both sides: it is said to be that, and not compared
    changed = _changed(project, (change for change in branch.changes if not change.unmerged))
    unmerged = tuple(change.path for change in branch.changes if change.unmerged)
    if not changed:
        return Changes(unmerged=unmerged)
    with Snapshot(project, "HEAD" if branch.commit else None) as then, Snapshot(project) as now:
        return compared(changed, then if branch.commit else None, now, load)._replace(unmerged=unmerged)


def compared(
    changed: Mapping[str, str], then: Snapshot | None, now: Snapshot, load: Load = sidecars.load_yaml
) -> Changes:
    """Return what differs between two states of the project.

    Parameters
    ----------
    changed
        The files that differ (relative to the project) -> added, modified or removed.
    then, now
        The two states; None for one in which nothing is.
    load
        Parses a YAML text; the second argument says whose it is.
    """

    def before(path: str) -> str | None:
        return then.text(path) if then is not None else None

    def both(path: str) -> tuple[str | None, str | None]:
        return (before(path), now.text(path)) if path in changed else (None, None)

    raw, results, files = [], [], []
    metadata: list[KeyChange] = []
    for path, how in changed.items():
        if path.endswith(".dvc"):
            old, new = _pointed(before(path), load), _pointed(now.text(path), load)
            if old != new or how == "added":
                raw.append(FileChange(str(data_path(path)), _how(how, now.text(path), load)))
        elif path.endswith(sidecars.SUFFIX):
            kind = _sidecar_change(path, how, before(path), now.text(path), metadata)
            if kind is not None:
                results.append(kind)
        elif not (path in _OWN or path.endswith("/.gitignore") or _picture(path, changed)):
            files.append(FileChange(path, how))
    return Changes(
        tuple(raw),
        tuple(metadata),
        tuple(_tree_changes("params.yaml", *both("params.yaml"), load)),
        tuple(_stage_changes(*both("dvc.yaml"), load)),
        tuple(results),
        tuple(files),
    )


def _changed(project: Project, changes: Iterable[git.Change]) -> dict[str, str]:
    """Return path (relative to the project) -> added, modified or removed."""
    from emdvc.history.merging.asking.asked import PICTURE, SUFFIX

    found = {}
    prefix = project.prefix
    for change in changes:
        path = PurePosixPath(change.path)
        # a conflict file is there for a person, until the conflict is answered
        if not path.is_relative_to(prefix) or path.name.endswith((SUFFIX, PICTURE)):
            continue
        here = project.git_root.joinpath(change.path).exists()
        how = "added" if change.untracked or change.index == "A" else "modified"
        if not here and how == "added":
            continue
        found[str(path.relative_to(prefix))] = how if here else "removed"
    return found


def _how(how: str, pointer: str | None, load: Load) -> str:
    """Return what became of a dataset: raw data is replaced, what people go on editing is edited."""
    if how != "modified":
        return how
    try:
        content = load(pointer or "", "a .dvc file")
    except MetadataError:  # it has conflicts
        return "replaced"
    return "edited" if edited.declared(content if isinstance(content, dict) else None) is not None else "replaced"


def _pointed(text: str | None, load: Load) -> Any:
    if text is None:
        return None
    try:
        outs = (load(text, "a .dvc file") or {}).get("outs") or [{}]
    except MetadataError:  # it was committed with a conflict in it
        return None
    return outs[0].get("md5")


def _picture(path: str, changed: Mapping[str, str]) -> bool:
    """Say whether a picture belongs to a result that is reported itself."""
    stem = path.removesuffix(".png")
    return stem != path and any(name.startswith(f"{stem}.") and name.endswith(sidecars.SUFFIX) for name in changed)


def _sidecar_change(
    path: str, how: str, old: str | None, new: str | None, metadata: list[KeyChange]
) -> FileChange | None:
    """Add what changed in raw data's sidecar to `metadata`; return the change where it is a result's."""
    data = str(data_path(path))
    try:
        before = sidecars.parse(old, path) if old is not None else None
        after = sidecars.parse(new, path) if new is not None else None
    except MetadataError:
        return FileChange(path, "damaged")
    if (after or before or Sidecar()).kind == "result":
        return FileChange(data, {"modified": "recomputed", "added": "computed"}.get(how, how))
    if before is not None and after is not None:
        metadata.extend(sidecar_changes(data, before, after))
    return None


def sidecar_changes(where: str, old: Sidecar, new: Sidecar) -> list[KeyChange]:
    """Return the keys of the record and of the axes' own calibration that measure something else."""
    return _key_changes(where, _leaves(old), _leaves(new))


def _leaves(sidecar: Sidecar) -> dict[str, Any]:
    found = dict(rec.leaves(sidecar.record))
    for dim, axis in sidecar.axes.items():
        for part in ("scale", "offset", "values"):
            found[f"axes.{dim}.{part}"] = getattr(axis, part)
    return found


def _key_changes(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[KeyChange]:
    keys = dict.fromkeys([*old, *new])
    return [
        KeyChange(where, key, old.get(key), new.get(key)) for key in keys if not same_value(old.get(key), new.get(key))
    ]


def same_value(old: Any, new: Any) -> bool:
    """Say whether two values measure the same: 200 keV and 0.2 MeV do."""
    if isinstance(old, Quantity) and isinstance(new, Quantity):
        return old.same(new)
    return bool(old == new)


def tree_leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return dotted key -> value of nested mappings; a quantity's mapping is one value."""
    if is_quantity(node):
        return {prefix: Quantity.from_dict(node)}
    if isinstance(node, dict) and node:
        found: dict[str, Any] = {}
        for name, value in node.items():
            found |= tree_leaves(value, f"{prefix}.{name}" if prefix else str(name))
        return found
    return {prefix: node} if prefix else {}


def _tree_changes(where: str, old: str | None, new: str | None, load: Load) -> list[KeyChange]:
    trees = [tree_leaves(load(text, where) if text else {}) for text in (old, new)]
    return _key_changes(where, *trees)


def _stage_changes(old: str | None, new: str | None, load: Load) -> Iterable[FileChange]:
    before, after = (((load(text, "dvc.yaml") if text else None) or {}).get("stages") or {} for text in (old, new))
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            yield FileChange(str(name), "added")
        elif name not in after:
            yield FileChange(str(name), "removed")
        elif before[name] != after[name]:
            yield FileChange(str(name), "modified")
