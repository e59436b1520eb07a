"""A script, or another text that a stage reads: which lines differ between two of its runs."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import PurePosixPath

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.lineage import Lineage
from emdvc.history.snapshot import sidecar_path

#: Longer files are data, not scripts.
_LONGEST = 4 << 20


def script_causes(old: Lineage, new: Lineage, dep: PurePosixPath, md5s: tuple[str | None, str | None]) -> list[Cause]:
    """Return the scripts that differ: what a stage depends on, or files below a folder that it depends on.

    Parameters
    ----------
    old, new
        The revisions.
    dep
        What the stage depends on.
    md5s
        Of its bytes, before and after, as dvc.lock has them.

    Returns
    -------
    list of Cause
        Empty where it is no text that git keeps.
    """
    if _is_data(old, dep) or _is_data(new, dep):
        return []
    if any(md5 and md5.endswith(".dir") for md5 in md5s):
        return _below(old, new, dep)
    texts = [_text(side, dep) for side in (old, new)]
    if texts[0] is None and texts[1] is None:
        return []
    # the file may have been edited since the run: then these are not the lines that ran
    ran = [text if _is_of(text, md5) else None for text, md5 in zip(texts, md5s, strict=True)]
    return [_cause(dep, *ran)]


def _below(old: Lineage, new: Lineage, folder: PurePosixPath) -> list[Cause]:
    found = []
    files = {file for side in (old, new) for file in side.snapshot.files() if file.is_relative_to(folder)}
    for file in sorted(files):
        texts = [_text(side, file) for side in (old, new)]
        if texts[0] != texts[1] and not (_is_data(old, file) or _is_data(new, file)):
            found.append(_cause(file, *texts))
    return found


def _cause(path: PurePosixPath, before: str | None, after: str | None) -> Cause:
    if before is None or after is None:
        return Cause(CauseKind.SCRIPT, str(path))
    was, now = before.splitlines(), after.splitlines()
    blocks = [
        block for block in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes() if block[0] != "equal"
    ]
    if not blocks:
        return Cause(CauseKind.SCRIPT, str(path))  # line ends, or the last one
    _, i1, i2, j1, j2 = blocks[0]
    return Cause(
        CauseKind.SCRIPT,
        str(path),
        before=was[i1] if i2 > i1 else None,
        after=now[j1] if j2 > j1 else None,
        line=j1 + 1,
        lines=sum(max(b - a, d - c) for _, a, b, c, d in blocks),
    )


def _text(side: Lineage, path: PurePosixPath) -> str | None:
    if side.snapshot.revision is None:
        try:
            if side.snapshot.project.path(path).stat().st_size > _LONGEST:
                return None
        except OSError:
            return None
    text = side.text(path)
    return None if text is None or "\0" in text[:8192] else text


def _is_of(text: str | None, md5: str | None) -> bool:
    """Say whether a text has the recorded md5, with line ends of either kind."""
    if text is None:
        return False
    forms = (text, text.replace("\n", "\r\n"))
    return any(hashlib.md5(form.encode(), usedforsecurity=False).hexdigest() == md5 for form in forms)


def _is_data(side: Lineage, path: PurePosixPath) -> bool:
    """Say whether DVC keeps a path, or what it lies in."""
    return side.text(sidecar_path(path)) is not None or any(
        side.text(one.with_name(one.name + ".dvc")) is not None for one in (path, *path.parents[:-1])
    )
