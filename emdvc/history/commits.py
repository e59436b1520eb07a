"""The commits that touched some files, newest first, each with the files' contents before and after: one `git log`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emdvc.history import git

#: What stands before a commit's own line, and between its parts; neither occurs in a name or a subject.
_MARK, _APART = "\x02", "\x1f"
_CODED = ("-c", "i18n.logOutputEncoding=UTF-8")
_FORMAT = _APART.join([f"{_MARK}%H", "%P", "%h", "%an", "%aI", "%s"])


@dataclass(frozen=True, slots=True)
class Touched:
    """One file that a commit touched.

    Parameters
    ----------
    before
        Ids of its contents in the parents, one for each, as short as is unambiguous; None where a parent does not have
        it.
    after
        Id of its content in the commit; None where the commit removed it.
    """

    before: tuple[str | None, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit and the files, of those asked for, that it touched.

    Parameters
    ----------
    oid, short
        Its id, and the short one.
    parents
        Ids of its parents.
    author
        Name of who made the change.
    date
        When, ISO 8601 with the time zone of the author.
    subject
        First line of the message.
    files
        By path, relative to the git root. Of a merge only files that differ from all its parents: what it took over
        from one of them was changed by another commit.
    """

    oid: str
    short: str
    parents: tuple[str, ...]
    author: str
    date: str
    subject: str
    files: dict[str, Touched] = field(default_factory=dict)


def touching(
    paths: Sequence[str], root: Path, start: str | None = "HEAD", *, since: str | None = None, walk: Sequence[str] = ()
) -> Iterator[Commit]:
    """Yield the commits that touched some files, newest first; git is stopped when the caller stops asking.

    As `git log` has it: of a branch that was merged without any effect on the files nothing is told.

    Parameters
    ----------
    paths
        Files, relative to `root`; taken as they are, not as patterns.
    root
        The git root.
    start
        The newest commit; None: all branches, remote ones and tags too.
    since
        Only later commits; a date as git understands it.
    walk
        More options of ``git log``.

    Raises
    ------
    EnvironmentFault
        Git is not installed, or it failed.
    """
    options = ["-z", "--raw", "--no-renames", "-c", "--no-color", "--no-show-signature", *walk]
    if since is not None:
        options.append(f"--since={since}")
    revisions = ["--end-of-options", start] if start is not None else ["--branches", "--remotes", "--tags", "HEAD"]
    args = ["log", f"--format={_FORMAT}", *options, *revisions, "--", *paths]
    command = ["git", "--literal-pathspecs", "-c", "log.showRoot=true", "-c", "core.quotepath=off", *_CODED, *args]
    environment = os.environ | {"LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        process = subprocess.Popen(
            command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except FileNotFoundError as error:
        raise git.missing() from error
    with process:
        ended = False
        try:
            yield from _commits(process)
            ended = True
        finally:
            if not ended:
                process.kill()
        assert process.stderr is not None
        complaint = process.stderr.read()
        if process.wait() != 0:
            raise git.failed(args, complaint)


def _commits(process: subprocess.Popen[bytes]) -> Iterator[Commit]:
    commit: Commit | None = None
    pieces = _pieces(process)
    for raw in pieces:
        # a name or a subject may be in any encoding
        piece = raw.lstrip(b"\n").decode("utf-8", "replace")
        if piece.startswith(_MARK):
            if commit is not None:
                yield commit
            oid, parents, short, author, date, subject = piece[1:].split(_APART, 5)
            commit = Commit(oid, short, tuple(parents.split()), author, date, subject.rstrip("\n"))
        elif piece.startswith(":") and commit is not None:
            commit.files[os.fsdecode(next(pieces))] = _touched(piece)
    if commit is not None:
        yield commit


def _touched(row: str) -> Touched:
    """Return what a raw line says: a colon for each parent, then as many modes and one, as many ids and one."""
    parents = len(row) - len(row.lstrip(":"))
    words = row.lstrip(":").split()
    ids = [None if set(oid) == {"0"} else oid for oid in words[parents + 1 : 2 * parents + 2]]
    return Touched(tuple(ids[:-1]), ids[-1])


def _pieces(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what stands between the NULs of git's answer, as it comes."""
    assert process.stdout is not None
    rest = b""
    while block := os.read(process.stdout.fileno(), 1 << 16):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    if rest.strip():
        yield rest


def removed(commit: Commit, root: Path) -> dict[str, str]:
    """Return the files that a commit removed, with the ids of what they held in its first parent."""
    if not commit.parents:
        return {}
    args = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=D"]
    pieces = iter(git.run([*args, commit.parents[0], commit.oid], root).stdout.split(b"\0"))
    return {os.fsdecode(next(pieces)): os.fsdecode(row).split()[2] for row in pieces if row.startswith(b":")}
