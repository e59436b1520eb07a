"""What changed since the last commit, in the words of the field: raw data, metadata by key, parameters, scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.history import git, yaml_files
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity, is_quantity
from emdvc.model.sidecar import Sidecar

#: Files that describe the pipeline and are reported in their own way, or follow from others.
_OWN = ("params.yaml", "dvc.yaml", "dvc.lock", ".emdvc/steps.yaml")


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key that has another value.

    Parameters
    ----------
    where
        Dataset or file.
    key
        Dotted key.
    old, new
        Values: a :class:`Quantity`, plain, or None where there is none.
    """

    where: str
    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return ``0.1 -> 0.11 1/nm``."""
        return between(self.old, self.new)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"where": self.where, "key": self.key, "old": _plain(self.old), "new": _plain(self.new)}


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file or dataset that was added, modified or removed."""

    path: str
    how: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": self.path, "how": self.how}


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs from the last commit and that git sees.

    Parameters
    ----------
    raw
        Datasets that were added, replaced or removed.
    metadata, parameters
        By key.
    pipeline
        Stages that were added, modified or removed.
    results
        Results that were computed anew.
    files
        Everything else: scripts, documents, settings.
    unmerged
        Files that a merge left in conflict.
    """

    raw: tuple[FileChange, ...] = ()
    metadata: tuple[KeyChange, ...] = ()
    parameters: tuple[KeyChange, ...] = ()
    pipeline: tuple[FileChange, ...] = ()
    results: tuple[FileChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    unmerged: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        groups = (self.raw, self.metadata, self.parameters, self.pipeline, self.results, self.files, self.unmerged)
        return any(groups)


def since_commit(project: Project) -> Changes:
    """Return what differs from the last commit; before the first commit everything is new."""
    changed = _changed(project)
    has_commit = git.head(project.git_root) is not None
    with Snapshot(project, "HEAD" if has_commit else None) as then, Snapshot(project) as now:

        def before(path: str) -> str | None:
            return then.text(path) if has_commit else None

        raw, results, files = [], [], []
        metadata: list[KeyChange] = []
        for path, how in changed.items():
            if path.endswith(".dvc"):
                old, new = _pointed(before(path)), _pointed(now.text(path))
                if old != new or how == "added":
                    raw.append(FileChange(str(data_path(path)), "replaced" if how == "modified" else how))
            elif path.endswith(sidecars.SUFFIX):
                kind = _sidecar_change(path, how, before(path), now.text(path), metadata)
                if kind is not None:
                    results.append(kind)
            elif not (path in _OWN or path.endswith("/.gitignore") or _picture(path, changed)):
                files.append(FileChange(path, how))
        return Changes(
            tuple(raw),
            tuple(metadata),
            tuple(_tree_changes("params.yaml", before("params.yaml"), now.text("params.yaml"))),
            tuple(_stage_changes(before("dvc.yaml"), now.text("dvc.yaml"))),
            tuple(results),
            tuple(files),
            tuple(change.path for change in git.changes(project.root) if change.unmerged),
        )


def _changed(project: Project) -> dict[str, str]:
    """Return path (relative to the project) -> added, modified or removed."""
    found = {}
    prefix = project.prefix
    for change in git.changes(project.root):
        path = PurePosixPath(change.path)
        if not path.is_relative_to(prefix):
            continue
        here = project.git_root.joinpath(change.path).exists()
        how = "added" if change.untracked or change.index == "A" else "modified"
        if not here and how == "added":
            continue
        found[str(path.relative_to(prefix))] = how if here else "removed"
    return found


def _pointed(text: str | None) -> Any:
    if text is None:
        return None
    outs = (sidecars.load_yaml(text, "a .dvc file") or {}).get("outs") or [{}]
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


def _tree_changes(where: str, old: str | None, new: str | None) -> list[KeyChange]:
    trees = [tree_leaves(sidecars.load_yaml(text, where) if text else {}) for text in (old, new)]
    return _key_changes(where, *trees)


def _stage_changes(old: str | None, new: str | None) -> Iterable[FileChange]:
    before, after = (
        ((sidecars.load_yaml(text, "dvc.yaml") if text else None) or {}).get("stages") or {} for text in (old, new)
    )
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            yield FileChange(str(name), "added")
        elif name not in after:
            yield FileChange(str(name), "removed")
        elif before[name] != after[name]:
            yield FileChange(str(name), "modified")


def between(old: Any, new: Any) -> str:
    """Return ``old -> new`` for a reader, the unit written once where both have it."""
    if isinstance(old, Quantity) and isinstance(new, Quantity) and old.unit == new.unit:
        return f"{format(Quantity(old.value))} -> {new}"
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(yaml_files.plain(value))


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Quantity) else yaml_files.plain(value)
