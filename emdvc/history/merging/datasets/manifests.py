"""Three states of a directory as one: DVC's lists of files, merged by name without opening a file.

A file that one side alone changed, added or removed is taken from that side; what both did alike is fine. What both did
differently is left to who knows what is in the file (a chunk, metadata, a table of a person).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from pathlib import Path

from emdvc.history.cache_place import object_path


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that both sides changed to different bytes, or that one removed and the other changed.

    Parameters
    ----------
    base, ours, theirs
        The md5 on each side; None where it is not there.
    """

    base: str | None
    ours: str | None
    theirs: str | None


@dataclass(frozen=True, slots=True)
class MergedList:
    """What came of three lists.

    Parameters
    ----------
    files
        Name -> md5 of everything that is decided.
    undecided
        Name -> the three md5s of the rest.
    """

    files: dict[str, str]
    undecided: dict[str, Entry] = field(default_factory=dict)


def merge_lists(base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]) -> MergedList:
    """Return the files of a directory that two sides changed since a base.

    The answer does not depend on which side is called ours, but for the order within an :class:`Entry`.
    """
    # what is alike on all sides is most of it: sets of pairs find the rest without a look at each
    here, there = ours.items() ^ base.items(), theirs.items() ^ base.items()
    by_ours = {name for name, _ in here}
    by_theirs = {name for name, _ in there}
    files = dict(ours)
    undecided = {}
    for name in by_theirs:
        new = theirs.get(name)
        if name in by_ours:
            old = ours.get(name)
            if old == new:
                continue
            files.pop(name, None)
            undecided[name] = Entry(base.get(name), old, new)
        elif new is None:
            del files[name]
        else:
            files[name] = new
    return MergedList(files, dict(sorted(undecided.items())))


def list_bytes(files: Mapping[str, str]) -> bytes:
    """Return the list of a directory's files as DVC writes it: the same bytes, and so the same md5."""
    quoted = encode_basestring_ascii
    entries = [f'{{"md5": "{files[name]}", "relpath": {quoted(name)}}}' for name in sorted(files)]
    return f"[{', '.join(entries)}]".encode()


def list_md5(content: bytes) -> str:
    """Return the md5 by which DVC names a list of files."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir"


def keep_list(cache: Path, files: Mapping[str, str]) -> str:
    """Put the list of a directory's files into DVC's cache and return its md5."""
    content = list_bytes(files)
    return keep_object(cache, content, list_md5(content))


def keep_object(cache: Path, content: bytes, md5: str | None = None) -> str:
    """Put bytes into DVC's cache in one step, read-only as DVC has them, and return their md5.

    Parameters
    ----------
    cache
        Folder of the cache's objects.
    content
        The bytes.
    md5
        What names them; by default their own md5.
    """
    from emdvc.history.transfer.fetching import keep

    name = md5 or hashlib.md5(content, usedforsecurity=False).hexdigest()
    target = object_path(cache, name)
    if target.is_file():
        return name
    target.parent.mkdir(parents=True, exist_ok=True)
    # DVC's own ending of what is not whole yet: its `gc`, and ours, know it
    handle, partial = tempfile.mkstemp(suffix=".tmp", prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        keep(Path(partial), target)
    except BaseException:
        with suppress(OSError):
            Path(partial).unlink()
        raise
    return name


def neither(entry: Entry) -> str:
    """Return a value that is none of the sides', the same in either order: for the base of a base."""
    sides = sorted((entry.ours or "", entry.theirs or ""))
    return hashlib.md5("\n".join(["neither", *sides]).encode(), usedforsecurity=False).hexdigest()
