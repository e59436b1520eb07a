"""One change, in the words of the field: of a file, of a dataset, of a key."""

from __future__ import annotations

from typing import Any, NamedTuple


class KeyChange(NamedTuple):
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


class FileChange(NamedTuple):
    """One file or dataset that was added, modified or removed."""

    path: str
    how: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": self.path, "how": self.how}


class Changes(NamedTuple):
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


def between(old: Any, new: Any) -> str:
    """Return ``old -> new`` for a reader, the unit written once where both have it."""
    from emdvc.model.quantity import Quantity

    if isinstance(old, Quantity) and isinstance(new, Quantity) and old.unit == new.unit:
        return f"{format(Quantity(old.value))} -> {new}"
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    from emdvc.history import yaml_files

    if value is None:
        return "unknown"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(yaml_files.plain(value))


def _plain(value: Any) -> Any:
    from emdvc.history import yaml_files
    from emdvc.model.quantity import Quantity

    return value.to_dict() if isinstance(value, Quantity) else yaml_files.plain(value)
