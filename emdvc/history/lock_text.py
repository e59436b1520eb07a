"""What a dvc.lock or a ``.dvc`` file records, from its text: only the part that speaks of a path is parsed.

A pipeline's dvc.lock changes with every run, and parsing all of it takes 0.1 ms a line. What one result needs is the
part of one stage, whose text is the same in most revisions.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history.recorded import LockedStage, locked_stage, stage_address

# as DVC writes it: the stages are the second level, indented by two
_STAGES = re.compile(r"^stages:[ \t]*\n", re.MULTILINE)
_STAGE = re.compile(r"^  (?=[^\s#-])", re.MULTILINE)
# an output or an input: the line with its path, and those below it that are indented deeper than the next one's dash
_ENTRY = re.compile(r".*(?:\n {6}.*)*")
_NAME = re.compile(r"  ([\w@./+-]+):\n")
_MD5 = re.compile(r"\n {6}md5: ([0-9a-f]{32}(?:\.dir)?)(?=\n|$)")
_TOP = re.compile(r"^(?=[^\s#])", re.MULTILINE)


def writer(text: str | None, file: PurePosixPath, path: PurePosixPath) -> LockedStage | None:
    """Return what a dvc.lock records of the stage that wrote a path; None where no stage of it did.

    Parameters
    ----------
    text
        Of the dvc.lock; None where there is none.
    file
        Its path, relative to the project.
    path
        A dataset or a file, relative to the project.

    Raises
    ------
    MetadataError
        The part that speaks of the path is no YAML.
    """
    if not text:
        return None
    named = _naming(path, file)
    for part in _parts(text):
        # what is not laid out as DVC does it is parsed whole
        if part == text or named.search(part.partition("\n    outs:")[2]):
            for stage in _parsed(part, file):
                if recorded_md5(stage, path) is not None:
                    return stage
    return None


def recorded_md5(stage: LockedStage, path: PurePosixPath) -> str | None:
    """Return the md5 of the output of a stage that a path is, or lies in; None where it is none of its outputs."""
    return next((stage.outs[one] for one in (path, *path.parents) if one in stage.outs), None)


def written_md5(text: str | None, file: PurePosixPath, path: PurePosixPath) -> tuple[str, str] | None:
    """Return the md5 of an output and the address of the stage that wrote it; None where no stage of it did.

    As :func:`writer`, without parsing what stands there as DVC writes it.

    Parameters
    ----------
    text
        Of the dvc.lock; None where there is none.
    file
        Its path, relative to the project.
    path
        A dataset or a file, relative to the project.

    Raises
    ------
    MetadataError
        The part that speaks of the path is no YAML.
    """
    own = os.path.relpath(path, file.parent).replace(os.sep, "/")
    line = f"\n    - path: {own}\n"
    for part in _parts(text or ""):
        head, _, outs = part.partition("\n    outs:")
        entry = _ENTRY.match(outs, outs.find(line) + 1) if line in outs else None
        name, md5 = _NAME.match(head), _MD5.search(entry.group()) if entry is not None else None
        if name is not None and md5 is not None:
            return md5.group(1), stage_address(name.group(1), file.parent)
    stage = writer(text, file, path)
    md5_said = recorded_md5(stage, path) if stage is not None else None
    return None if stage is None or md5_said is None else (md5_said, stage_address(stage.name, file.parent))


def pointed_md5(text: str | None, file: PurePosixPath, path: PurePosixPath) -> str | None:
    """Return the md5 that a ``.dvc`` file records of a path; None where it records none.

    Parameters
    ----------
    text
        Of the ``.dvc`` file; None where there is none.
    file
        Its path, relative to the project.
    path
        A dataset or a file, relative to the project.

    Raises
    ------
    MetadataError
        It is no YAML.
    """
    content = _pointer(text, file) if text else {}
    folder = file.parent / str(content.get("wdir") or ".")
    for out in content.get("outs") or []:
        if PurePosixPath(os.path.normpath(folder / str(out.get("path"))).replace(os.sep, "/")) == path:
            return str(out.get("md5") or "")
    return None


def mentions(text: str | None, file: PurePosixPath, path: PurePosixPath) -> list[str]:
    """Return what a dvc.lock says at each mention of a path: where that is the same, so is what it records of it.

    Parameters
    ----------
    text
        Of the dvc.lock; None where there is none.
    file
        Its path, relative to the project.
    path
        A dataset or a file, relative to the project.
    """
    said = text or ""
    rest = (_ENTRY.match(said, match.start()) for match in _naming(path, file).finditer(said))
    return [entry.group() for entry in rest if entry is not None]


@lru_cache(maxsize=256)
def _pointer(text: str, file: PurePosixPath) -> dict[str, Any]:
    content = sidecars.load_yaml(text, str(file))
    return content if isinstance(content, dict) else {}


@lru_cache(maxsize=64)
def _naming(path: PurePosixPath, file: PurePosixPath) -> re.Pattern[str]:
    """Return what finds the line that names an output which a path is, or lies in."""
    names = [os.path.relpath(one, file.parent).replace(os.sep, "/") for one in (path, *path.parents[:-1])]
    if not all(re.fullmatch(r"[\w./+-]+", name) for name in names):
        return re.compile("path:")  # it may be quoted, or broken into lines: each part is parsed
    return re.compile(rf"path: ['\"]?(?:{'|'.join(map(re.escape, names))})['\"]?$", re.MULTILINE)


@lru_cache(maxsize=64)
def _parts(text: str) -> tuple[str, ...]:
    """Return the text of each stage; the whole text where it is not laid out as DVC does it."""
    head = _STAGES.search(text)
    if head is None:
        return (text,)
    rest = text[head.end() :]
    end = _TOP.search(rest)
    stages = rest[: end.start()] if end else rest
    starts = [match.start() for match in _STAGE.finditer(stages)]
    if not starts or stages[: starts[0]].strip():
        return (text,)
    return tuple(stages[a:b] for a, b in zip(starts, [*starts[1:], len(stages)], strict=True))


@lru_cache(maxsize=1024)
def _parsed(part: str, file: PurePosixPath) -> tuple[LockedStage, ...]:
    content = sidecars.load_yaml(part, str(file))
    found = content if isinstance(content, dict) else {}
    stages = found["stages"] if isinstance(found.get("stages"), dict) else found
    return tuple(
        locked_stage(str(name), said, file.parent)
        for name, said in stages.items()
        if isinstance(said, dict) and {"cmd", "outs", "deps"} & set(said)
    )
