"""The stages of a dvc.lock in the order in which they are computed, and which of them are out of date."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from emdvc.history.merging.stages.lock_entries import files

#: Name of a stage -> the texts of its entry on the sides.
Texts = Mapping[str, list[str]]
#: Name of a stage, without ``@...`` -> the folder it runs in, where that is not the pipeline's.
Wdirs = Mapping[str, PurePosixPath]


def in_order(entries: Texts, wdirs: Wdirs) -> list[str]:
    """Return the stages so that each comes after those it reads from; otherwise by name."""
    above = _upstream(entries, wdirs)
    ordered: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in ordered or name in path:
            return
        for one in sorted(above[name]):
            visit(one, (*path, name))
        ordered[name] = None

    for name in sorted(entries):
        visit(name, ())
    return list(ordered)


def affected(kept: Mapping[str, str], dropped: Texts, wdirs: Wdirs) -> dict[str, str]:
    """Return the kept stages that are out of date, and why each is.

    Parameters
    ----------
    kept
        Name -> the entry in the merged file.
    dropped
        The stages that are computed again, and their entries on the sides.
    """
    entries = {**{name: [text] for name, text in kept.items()}, **dropped}
    written = {
        path: (name, md5) for name, text in kept.items() for path, md5 in paths_of(name, [text], "outs", wdirs).items()
    }
    found = {}
    for name, text in kept.items():
        for path, md5 in paths_of(name, [text], "deps", wdirs).items():
            writer, now = written.get(path, (name, ""))
            if writer != name and md5 and now and md5 != now:
                found[name] = f"computed from another {path}"
                break
    above = _upstream(entries, wdirs)
    for name in in_order(entries, wdirs):
        changed = [one for one in above[name] if one in found or one in dropped]
        if name in kept and name not in found and changed:
            found[name] = f"reads what {sorted(changed)[0]} writes"
    return found


def ends(names: list[str], entries: Texts, wdirs: Wdirs) -> list[str]:
    """Return those of some stages that no other of them reads from: DVC computes the others on its way to them."""
    above = _upstream({name: entries[name] for name in names}, wdirs)
    read = {one for name in names for one in above[name]}
    return [name for name in names if name not in read]


def _upstream(entries: Texts, wdirs: Wdirs) -> dict[str, set[str]]:
    """Return for each stage those that write what it reads, or a folder above it, or a file in it."""
    writers: dict[str, str] = {}
    holders: dict[str, set[str]] = {}
    for name, texts in entries.items():
        for path in paths_of(name, texts, "outs", wdirs):
            writers[path] = name
            for folder in _folders(path):
                holders.setdefault(folder, set()).add(name)
    found = {}
    for name, texts in entries.items():
        above = set()
        for path in paths_of(name, texts, "deps", wdirs):
            above |= {writers[one] for one in (path, *_folders(path)) if one in writers} | holders.get(path, set())
        found[name] = above - {name}
    return found


def paths_of(name: str, texts: Iterable[str], kind: str, wdirs: Wdirs) -> dict[str, str]:
    """Return the paths of a stage's entries, relative to the folder of dvc.lock -> md5.

    Parameters
    ----------
    name
        Of the stage.
    texts
        Its entries.
    kind
        ``deps`` or ``outs``.
    wdirs
        The folders in which stages run.
    """
    folder = wdirs.get(name.partition("@")[0])
    found = {}
    for text in texts:
        for path, md5 in getattr(files(text), kind).items():
            found[path if folder is None else posixpath.normpath(posixpath.join(folder.as_posix(), path))] = md5
    return found


def _folders(path: str) -> list[str]:
    return [parent.as_posix() for parent in PurePosixPath(path).parents if parent.as_posix() not in (".", "/")]
