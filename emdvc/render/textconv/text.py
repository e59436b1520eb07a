"""The text that git shows instead of a sidecar, a ``.dvc`` pointer or a dvc.lock: told apart by what they hold.

Texts are for reading, and compared line by line: each leaf is a line of its own, nothing is aligned (one longer name
would move every line), and the same content always gives the same text. With every change of the texts
:data:`emdvc.history.textconv.texts.FORM` is raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emdvc.errors import EmdvcError, MetadataError
from emdvc.render.textconv.pointer import Objects

#: What git writes around two versions that it could not merge.
_CONFLICT = re.compile(rb"^(<{7}|>{7}|\|{7})( |$)", re.MULTILINE)


class Text(NamedTuple):
    """What git shows.

    Parameters
    ----------
    content
        The text.
    lasting
        Whether it is all that can be said, now and later, so that it may be kept.
    """

    content: bytes
    lasting: bool


def text_of(raw: bytes, objects: Objects) -> Text:
    """Return the text of a file; of one that is damaged, or of another kind, the bytes as they are.

    Parameters
    ----------
    raw
        The file's bytes.
    objects
        Where the lists of directories' files are looked up.
    """
    try:
        if _CONFLICT.search(raw):
            return Text(_conflicting(raw, objects), False)
        lines, lasting = _lines(raw, objects)
    except (EmdvcError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
        return Text(raw, False)
    return Text(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"), lasting)


def _lines(raw: bytes, objects: Objects) -> tuple[list[str], bool]:
    from emdvc.formats.sidecar import load_yaml

    mapping = load_yaml(raw.decode("utf-8"), "the file")
    if not isinstance(mapping, Mapping):
        raise MetadataError("no mapping")
    if "schema_version" in mapping:
        from emdvc.render.textconv.sidecar import sidecar_lines

        return sidecar_lines(mapping), True
    if _entries(mapping.get("outs")):
        from emdvc.render.textconv.pointer import pointer_lines

        return pointer_lines(mapping, objects)
    if "schema" in mapping and isinstance(mapping.get("stages"), Mapping):
        from emdvc.render.textconv.lock import lock_lines

        return lock_lines(mapping), True
    raise MetadataError("a file of another kind")


def _conflicting(raw: bytes, objects: Objects) -> bytes:
    """Return the texts of both versions as one, with git's marks around what differs.

    Git compares a file in conflict with both versions that it could not merge, and these are shown as texts: against
    the file as it is every line would differ. Where a version is damaged, the file is shown as it is.
    """
    import difflib

    versions, marks = _versions(raw)
    ours, theirs = ([line.encode() for line in _lines(version, objects)[0]] for version in versions)
    merged: list[bytes] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        merged += ours[a:b] if kind == "equal" else [marks[0], *ours[a:b], b"=======", *theirs[c:d], marks[1]]
    return b"\n".join(merged) + b"\n"


def _versions(raw: bytes) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Return our and their version of a file in conflict, and the marks that name them."""
    ours: list[bytes] = []
    theirs: list[bytes] = []
    marks = [b"<<<<<<<", b">>>>>>>"]
    into = [ours, theirs]
    for line in raw.split(b"\n"):
        if line.startswith(b"<<<<<<<"):
            marks[0], into = line.rstrip(), [ours]
        elif line.startswith(b"|||||||"):
            into = []
        elif line.rstrip() == b"=======":
            into = [theirs]
        elif line.startswith(b">>>>>>>"):
            marks[1], into = line.rstrip(), [ours, theirs]
        else:
            for version in into:
                version.append(line)
    return (b"\n".join(ours), b"\n".join(theirs)), (marks[0], marks[1])


def _entries(outs: Any) -> bool:
    return isinstance(outs, list) and bool(outs) and all(isinstance(one, Mapping) and "path" in one for one in outs)


def convert(file: Path, target: Path | None) -> bytes:
    """Return the text of a file for git, and keep it; when git asks for one after the other, prepare the next ones.

    Parameters
    ----------
    file
        The file, as git names it: relative to the current folder, or a temporary one.
    target
        Where the text is to be kept; None: nowhere.
    """
    from emdvc.history.textconv import texts as git_texts
    from emdvc.history.textconv.caches import Caches

    objects = Caches(Path.cwd(), file)
    text = text_of(file.read_bytes(), objects)
    if text.lasting and target is not None:
        before = git_texts.bound(target.parent.parent)
        git_texts.keep(target, text.content)
        if before.busy:
            _prepare(target.parent, objects)
    return text.content


def _prepare(texts: Path, objects: Objects) -> None:
    """Keep the texts that a ``git log -p`` is about to ask for: to start Python for each takes longer than its text."""
    import time

    from emdvc.history import git
    from emdvc.history.textconv import texts as git_texts

    end = time.monotonic() + 1.0
    here = Path.cwd()
    try:
        if git.config("extensions.partialClone", here):
            return  # what is not here would be fetched for it, one by one
        wanted = git_texts.upcoming(here, texts)
        for start in range(0, len(wanted), 50):
            for oid, raw in git.contents(wanted[start : start + 50], here).items():
                if time.monotonic() > end:
                    return
                text = text_of(raw, objects)
                if text.lasting:
                    git_texts.keep(texts / oid, text.content)
    except (EmdvcError, OSError):
        return  # nothing was promised: git asks for each text when it needs it
