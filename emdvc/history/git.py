"""What is asked of git, as thin functions: commits, files, changes; paths always NUL-separated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import Code, UsageError, suggest
from emdvc.history.git_program import failed, git, maybe, missing, paths, run, start

__all__ = [
    "COMMIT",
    "STATUS",
    "Change",
    "Commit",
    "add",
    "ahead_behind",
    "branch",
    "changes",
    "clone",
    "commit",
    "commit_of",
    "config",
    "contents",
    "failed",
    "files",
    "files_at",
    "git",
    "head",
    "merge_base",
    "missing",
    "parsed_changes",
    "push",
    "ref",
    "remotes",
    "resolve",
    "run",
    "set_config",
    "show",
    "start",
    "tracked",
    "upstream",
]

# --- where we are ---------------------------------------------------------------------------------------------------


#: How git is to print the fields of :class:`Commit`, NUL between them.
COMMIT = "%H%x00%h%x00%s%x00%an%x00%cI"
#: Where git keeps what people give names to.
_NAMED = ("refs/heads", "refs/tags", "refs/remotes")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as a person speaks of it."""

    oid: str
    short: str
    subject: str
    author: str
    date: str


def head(cwd: Path) -> Commit | None:
    """Return the last commit, or None before the first."""
    return commit_of("HEAD", cwd)


def commit_of(revision: str, cwd: Path) -> Commit | None:
    """Return what a revision is, or None when there is no such revision."""
    text = maybe(["log", "-1", f"--format={COMMIT}", "--end-of-options", revision, "--"], cwd)
    if not text:
        return None
    return Commit(*text.split("\0"))


def branch(cwd: Path) -> str | None:
    """Return the branch that is checked out; None on a detached HEAD."""
    return maybe(["symbolic-ref", "--short", "-q", "HEAD"], cwd)


def upstream(cwd: Path) -> str | None:
    """Return the branch that the current one follows, such as ``origin/main``; None when it follows none."""
    return maybe(["rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"], cwd)


def ahead_behind(cwd: Path) -> tuple[int, int] | None:
    """Return how many commits the branch is ahead of and behind its upstream as last fetched; None without one."""
    text = maybe(["rev-list", "--left-right", "--count", "HEAD...@{upstream}"], cwd)
    if text is None:
        return None
    ahead, behind = text.split()
    return int(ahead), int(behind)


def remotes(cwd: Path) -> list[str]:
    """Return the names of the git remotes."""
    return git(["remote"], cwd).split()


def resolve(revision: str, cwd: Path) -> str:
    """Return the id of the commit that a revision names; also the name of an experiment of DVC is one.

    Raises
    ------
    UsageError
        There is no such revision, and the nearest branch, tag or experiment is suggested; or the experiment of that
        name has no result.
    """
    from emdvc.history import experiments

    oid, known = None, {}
    if revision and "\n" not in revision and "\0" not in revision:
        oid = maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"], cwd)
        if oid is None:
            known = experiments.refs(cwd, *_NAMED)
            oid = experiments.resolve(revision, known, cwd)
    if oid is not None:
        return oid
    names = [name.removeprefix(f"{place}/") for name in known for place in _NAMED if name.startswith(f"{place}/")]
    runs = [one.name for one in experiments.finished(known.items())]
    near = suggest(revision, names + runs)
    kinds = "branch, tag, commit or experiment" if runs else "branch, tag or commit"
    raise UsageError(
        f"unknown revision '{revision}'",
        code=Code.REVISION_UNKNOWN,
        evidence="there is no commit yet" if head(cwd) is None else f"no {kinds} has that name",
        hint=f"did you mean {near}?" if near else "git log --oneline --all" if head(cwd) else 'emdvc save -m "first"',
    )


def ref(name: str, cwd: Path) -> str | None:
    """Return the object that a ref with its full name points to; None where there is no such ref."""
    return maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", name], cwd)


def merge_base(one: str, other: str, cwd: Path) -> str:
    """Return the id of the last commit that two revisions have in common.

    Raises
    ------
    UsageError
        There is no such revision, or they have nothing in common.
    """
    found = maybe(["merge-base", resolve(one, cwd), resolve(other, cwd)], cwd)
    if not found:
        raise UsageError(
            f"{one} and {other} have no commit in common",
            code=Code.REVISION_UNKNOWN,
            evidence="the clone may be shallow",
            hint="git fetch --unshallow",
        )
    return found


# --- what is in a revision ------------------------------------------------------------------------------------------


def show(revision: str, path: str, cwd: Path) -> bytes | None:
    """Return a file's bytes at a revision (path relative to the git root), or None when it is not there."""
    done = run(["cat-file", "blob", f"{revision}:{path}"], cwd, accept=(0, 128))
    return done.stdout if done.returncode == 0 else None


def contents(objects: Sequence[str], cwd: Path) -> dict[str, bytes]:
    """Return the bytes of many objects by their names, all read by one program; those that are not there are left out.

    A name is what git understands: an id, or ``REVISION:PATH`` without a line end in it.
    """
    if not objects:
        return {}
    names = list(dict.fromkeys(objects))
    asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    answer = run(["cat-file", "--batch"], cwd, stdin=asked).stdout
    found, at = {}, 0
    for name in names:
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        at = end + 1
        if len(words) == 3 and words[2].isdigit():
            size = int(words[2])
            found[name] = answer[at : at + size]
            at += size + 1
    return found


def files_at(revision: str, cwd: Path, below: str = "") -> list[str]:
    """Return every file of a revision below a folder, relative to the git root."""
    where = [below] if below not in ("", ".") else []
    return paths(run(["ls-tree", "-r", "-z", "--name-only", "--full-tree", revision, "--", *where], cwd).stdout)


def files(cwd: Path, patterns: Iterable[str] = ()) -> list[str]:
    """Return the tracked and the untracked, not ignored files below a folder, relative to it."""
    found = run(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns], cwd)
    return sorted(set(paths(found.stdout)))


def tracked(cwd: Path, patterns: Iterable[str] = ()) -> list[str]:
    """Return the tracked files below a folder, relative to it."""
    return paths(run(["ls-files", "-z", "--cached", "--", *patterns], cwd).stdout)


# --- what changed ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs from the last commit.

    Parameters
    ----------
    path
        Relative to the git root.
    index, worktree
        Git's letters (M, A, D, R, U) for what is staged and for what is not; ``.`` where nothing is; ``?`` untracked.
    """

    path: str
    index: str
    worktree: str

    @property
    def untracked(self) -> bool:
        """Whether git does not know the file."""
        return self.worktree == "?"

    @property
    def unmerged(self) -> bool:
        """Whether a merge left the file in conflict."""
        return "U" in (self.index, self.worktree)


#: Arguments that ask for every file that differs.
STATUS = ("status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames")


def changes(cwd: Path) -> list[Change]:
    """Return every file that differs from the last commit, staged or not, and the untracked ones."""
    return parsed_changes(run(STATUS, cwd).stdout)


def parsed_changes(output: bytes) -> list[Change]:
    """Return the files that the answer to :data:`STATUS` names."""
    found = []
    for part in output.split(b"\0"):
        line = os.fsdecode(part)
        if line.startswith("1 "):
            fields = line.split(" ", 8)
            found.append(Change(fields[8], fields[1][0], fields[1][1]))
        elif line.startswith("u "):
            fields = line.split(" ", 10)
            found.append(Change(fields[10], "U", "U"))
        elif line.startswith("? "):
            found.append(Change(line[2:], ".", "?"))
    return found


# --- what writes ----------------------------------------------------------------------------------------------------


def add(paths: Iterable[str | Path], cwd: Path) -> None:
    """Stage files (also their deletion)."""
    names = b"\0".join(os.fsencode(path) for path in paths)
    if names:
        run(["add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"], cwd, stdin=names)


def commit(message: str, cwd: Path) -> Commit:
    """Commit what is staged and return the commit.

    Raises
    ------
    EnvironmentFault
        Git refused (a hook, an unknown author).
    """
    run(["commit", "--quiet", "--file=-"], cwd, stdin=message.encode())
    made = head(cwd)
    assert made is not None
    return made


def clone(url: str, folder: Path, cwd: Path) -> None:
    """Clone a repository into a folder."""
    run(["clone", "--quiet", "--", url, str(folder)], cwd)


def push(cwd: Path, *args: str) -> None:
    """Push the current branch."""
    run(["push", "--quiet", *args], cwd)


def config(key: str, cwd: Path) -> str | None:
    """Return a setting, or None where it is not set."""
    return maybe(["config", "--get", key], cwd)


def set_config(key: str, value: str, cwd: Path) -> None:
    """Write a setting of this repository."""
    run(["config", "--local", key, value], cwd)
