"""The text of a conflict file: first for the person who opens it, below for the machine."""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, ProjectError
from emdvc.history import git
from emdvc.history.merging.asking.asked import SUFFIX, ConflictFile, Question, SideFile
from emdvc.history.merging.contract import Choice, Edited, Region, Side
from emdvc.history.project import Project

#: Raised when an emdvc of before would misread the file.
VERSION = 1


def text_of(kept: ConflictFile, project: Project) -> str:
    """Return the text of a conflict file; the same one always gives the same text."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.default_flow_style = False
    buffer = io.StringIO()
    yaml.dump(_plain(kept), buffer)
    header = [f"# {line}".rstrip() for line in _header(kept, project)]
    return "\n".join(header) + "\n" + buffer.getvalue()


def _header(kept: ConflictFile, project: Project) -> list[str]:
    path = typed(kept.path, project)
    lines = [f"{kept.path}: both sides changed it, and emdvc does not choose between them.", ""]
    known = [f"{side:<6}  {kept.sides[side]}" for side in (Side.OURS, Side.THEIRS) if str(kept.sides[side])]
    lines += [*known, ""] if known else []
    lines += [*_asked(kept), ""]
    lines += ["Answer in the project's folder, all of it at once or one by one:"]
    lines += [f"  {command}" for command in commands(kept, path)]
    lines += ["and when nothing is open any more:", "  emdvc merge --continue", ""]
    if kept.as_a_whole:
        lines += ["Nothing is lost: git keeps both sides until then."]
    else:
        lines += [
            "Nothing is lost: git keeps both sides. Until it is answered the file itself holds both, between git's"
        ]
        lines += ["markers (<<<<<<< and >>>>>>>): nothing reads it as settled. Who edits them away has answered, too."]
    if any(one.region is not None for one in kept.questions):
        lines += ["To take one side's md5 by hand is to take all of that side's data. The workspace holds ours until"]
        lines += ["then: what you edit there within a region is taken by the answer edit."]
    lines += ["This file goes by itself with the last answer. It is not for a commit."]
    return lines


def _asked(kept: ConflictFile) -> list[str]:
    lines = []
    for one in kept.questions:
        answer = f"  [answered: {answered(one)}]" if one.chosen is not None else ""
        lines += [f"{one.key or 'the file as a whole'}: {one.why}{answer}"]
        lines += [f"  {side:<6}  {one.side(side)}" for side in Side]
    if kept.picture:
        lines += [f"picture: {kept.picture}"]
    return lines


def commands(kept: ConflictFile, path: str) -> list[str]:
    """Return the commands that answer, as they are typed in the project's folder."""
    resolve = f"emdvc merge --resolve {path}"
    found = [f"{resolve} ours", f"{resolve} theirs"]
    for one in kept.open[:1]:
        if one.region is not None:
            found += [f"{resolve} theirs --region {shlex.quote(str(one.region))}"]
        elif one.key:
            key = shlex.quote(one.key)
            found += [f"{resolve} theirs --key {key}", f"{resolve} edit --key {key}"]
    return found


def typed(path: PurePosixPath, project: Project) -> str:
    """Return a path (relative to the git root) as it is typed in the project's folder."""
    inside = path.relative_to(project.prefix) if path.is_relative_to(project.prefix) else path
    return shlex.quote(str(inside))


def answered(one: Question) -> str:
    """Return the answer to a question in words."""
    return "edited" if isinstance(one.chosen, Edited) else str(one.chosen)


def _plain(kept: ConflictFile) -> dict[str, Any]:
    return {
        "version": VERSION,
        "file": str(kept.path),
        "conflicts": [_question(one) for one in kept.questions],
        "sides": {str(side): _side(kept.sides[side]) for side in Side},
        "written": kept.written,
        "picture": kept.picture,
    }


def _question(one: Question) -> dict[str, Any]:
    said: dict[str, Any] = {"key": one.key, "why": one.why, "base": one.base, "ours": one.ours, "theirs": one.theirs}
    if one.region is not None:
        said["region"] = {
            "variable": one.region.variable,
            "slices": [list(part) for part in one.region.slices],
            "dims": list(one.region.dims),
            "count": one.region.count,
        }
    chosen = one.chosen
    said["chosen"] = {"edited": chosen.value} if isinstance(chosen, Edited) else str(chosen) if chosen else None
    return said


def _side(file: SideFile) -> dict[str, Any] | None:
    last = file.last
    said = {
        "name": file.name,
        "last": last
        and {
            "oid": last.oid,
            "short": last.short,
            "author": last.author,
            "date": last.date,
            "subject": last.subject,
        },
        "commit": file.commit,
        "blob": file.blob,
        "mode": file.mode,
    }
    return {name: value for name, value in said.items() if value is not None} or None


def parsed(path: Path) -> ConflictFile:
    """Return what a conflict file says.

    Raises
    ------
    ProjectError
        It is damaged, or of a later emdvc.
    """
    from emdvc.history import yaml_files

    content = yaml_files.read(path)
    try:
        if content["version"] != VERSION:
            raise ProjectError(
                f"{path.name} was written by another emdvc",
                code=Code.PROJECT_BROKEN,
                evidence=f"version {content['version']}, known is {VERSION}",
                hint="update emdvc",
            )
        return ConflictFile(
            PurePosixPath(content["file"]),
            {side: _read_side(content["sides"].get(str(side)) or {}) for side in Side},
            tuple(_read_question(one) for one in content["conflicts"]),
            str(content.get("written") or ""),
            str(content.get("picture") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        file = path.name.removesuffix(SUFFIX)
        raise ProjectError(
            f"{path.name} is damaged",
            code=Code.PROJECT_BROKEN,
            evidence=f"{type(error).__name__}: {error}",
            hint=f"delete it; git checkout -m -- {shlex.quote(file)} makes it anew",
        ) from error


def _read_side(said: Mapping[str, Any]) -> SideFile:
    last = said.get("last")
    return SideFile(
        said.get("blob"),
        said.get("mode"),
        said.get("commit"),
        said.get("name"),
        git.Commit(*(str(last[name]) for name in ("oid", "short", "subject", "author", "date"))) if last else None,
    )


def _read_question(said: Mapping[str, Any]) -> Question:
    region, chosen = said.get("region"), said.get("chosen")
    answer: Choice | None = None
    if isinstance(chosen, dict):
        answer = Edited(chosen["edited"])
    elif chosen is not None:
        answer = Side(chosen)
    key, why, base, ours, theirs = (str(said[name]) for name in ("key", "why", "base", "ours", "theirs"))
    return Question(key, why, base, ours, theirs, None if region is None else _read_region(region), answer)


def _read_region(said: Mapping[str, Any]) -> Region:
    slices = tuple((int(start), int(stop)) for start, stop in said["slices"])
    return Region(str(said["variable"]), slices, tuple(map(str, said["dims"])), int(said["count"]))
