"""The git program, as thin functions: never through a shell, paths always NUL-separated, messages in English."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault, UsageError, suggest


def run(
    args: Sequence[str], cwd: Path, *, stdin: bytes | None = None, accept: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return what it said.

    Parameters
    ----------
    args
        Arguments after ``git``.
    cwd
        Folder to run in.
    stdin
        What to write to its standard input.
    accept
        Exit statuses that are answers, not failures.

    Raises
    ------
    EnvironmentFault
        Git is not installed, or it failed; the first line of what it wrote to stderr is the evidence.
    """
    try:
        done = subprocess.run(
            _command(args),
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=_environment(),
            check=False,
        )
    except FileNotFoundError as error:
        if not cwd.is_dir():
            raise
        raise missing() from error
    if done.returncode not in accept:
        raise failed(args, done.stderr)
    return done


def start(args: Sequence[str], cwd: Path) -> subprocess.Popen[bytes]:
    """Start git without waiting for it; what it says is to be read from its pipes.

    Raises
    ------
    EnvironmentFault
        Git is not installed.
    """
    try:
        return subprocess.Popen(
            _command(args),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
    except FileNotFoundError as error:
        if not cwd.is_dir():
            raise
        raise missing() from error


def _command(args: Sequence[str]) -> list[str]:
    return ["git", "-c", "core.quotepath=off", *args]


def _environment() -> dict[str, str]:
    # a status that merely refreshes the index must not fight another git for index.lock
    return os.environ | {"LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def missing() -> EnvironmentFault:
    """Return the error that says git is not installed."""
    return EnvironmentFault(
        "git is not installed",
        code=Code.PROGRAM_MISSING,
        evidence="no `git` on PATH",
        hint="https://git-scm.com/downloads",
    )


def failed(args: Sequence[str], stderr: bytes) -> EnvironmentFault:
    """Return the error that says what git complained of."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote: error"))] or lines
    verb = next((word for word in args if not word.startswith("-") and "=" not in word), "git")
    hint = None
    if any("tell me who you are" in line or "empty ident" in line for line in lines):
        hint = 'git config --global user.name "Your Name" && git config --global user.email you@example.org'
    elif any("dubious ownership" in line for line in lines):
        hint = next((line.strip() for line in lines if "safe.directory" in line and "git config" in line), None)
    return EnvironmentFault(
        f"git {verb} failed", code=Code.PROGRAM_FAILED, evidence=telling[0].strip() if telling else None, hint=hint
    )


def git(args: Sequence[str], cwd: Path) -> str:
    """Run git and return what it printed, without the last line end.

    Raises
    ------
    EnvironmentFault
        As :func:`run`.
    """
    return run(args, cwd).stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def _maybe(args: Sequence[str], cwd: Path) -> str | None:
    done = run(args, cwd, accept=(0, 1, 2, 128))
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n") if done.returncode == 0 else None


def _paths(output: bytes) -> list[str]:
    return [os.fsdecode(part) for part in output.split(b"\0") if part]


# --- where we are ---------------------------------------------------------------------------------------------------


#: How git is to print the fields of :class:`Commit`, NUL between them.
COMMIT = "%H%x00%h%x00%s%x00%an%x00%cI"


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
    text = _maybe(["log", "-1", f"--format={COMMIT}", "--end-of-options", revision, "--"], cwd)
    if not text:
        return None
    return Commit(*text.split("\0"))


def branch(cwd: Path) -> str | None:
    """Return the branch that is checked out; None on a detached HEAD."""
    return _maybe(["symbolic-ref", "--short", "-q", "HEAD"], cwd)


def upstream(cwd: Path) -> str | None:
    """Return the branch that the current one follows, such as ``origin/main``; None when it follows none."""
    return _maybe(["rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"], cwd)


def ahead_behind(cwd: Path) -> tuple[int, int] | None:
    """Return how many commits the branch is ahead of and behind its upstream as last fetched; None without one."""
    text = _maybe(["rev-list", "--left-right", "--count", "HEAD...@{upstream}"], cwd)
    if text is None:
        return None
    ahead, behind = text.split()
    return int(ahead), int(behind)


def remotes(cwd: Path) -> list[str]:
    """Return the names of the git remotes."""
    return git(["remote"], cwd).split()


def resolve(revision: str, cwd: Path) -> str:
    """Return the id of the commit that a revision names.

    Raises
    ------
    UsageError
        There is no such revision; the nearest branch or tag is suggested.
    """
    oid = None
    if revision and "\n" not in revision and "\0" not in revision:
        oid = _maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"], cwd)
    if oid is not None:
        return oid
    names = git(["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"], cwd).split()
    near = suggest(revision, names)
    raise UsageError(
        f"unknown revision '{revision}'",
        code=Code.REVISION_UNKNOWN,
        evidence="there is no commit yet" if head(cwd) is None else "no branch, tag or commit has that name",
        hint=f"did you mean {near}?" if near else "git log --oneline --all" if head(cwd) else 'emdvc save -m "first"',
    )


def ref(name: str, cwd: Path) -> str | None:
    """Return the object that a ref with its full name points to; None where there is no such ref."""
    return _maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", name], cwd)


def merge_base(one: str, other: str, cwd: Path) -> str:
    """Return the id of the last commit that two revisions have in common.

    Raises
    ------
    UsageError
        There is no such revision, or they have nothing in common.
    """
    found = _maybe(["merge-base", resolve(one, cwd), resolve(other, cwd)], cwd)
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
    return _paths(run(["ls-tree", "-r", "-z", "--name-only", "--full-tree", revision, "--", *where], cwd).stdout)


def files(cwd: Path, patterns: Iterable[str] = ()) -> list[str]:
    """Return the tracked and the untracked, not ignored files below a folder, relative to it."""
    found = run(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns], cwd)
    return sorted(set(_paths(found.stdout)))


def tracked(cwd: Path, patterns: Iterable[str] = ()) -> list[str]:
    """Return the tracked files below a folder, relative to it."""
    return _paths(run(["ls-files", "-z", "--cached", "--", *patterns], cwd).stdout)


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
    return _maybe(["config", "--get", key], cwd)


def set_config(key: str, value: str, cwd: Path) -> None:
    """Write a setting of this repository."""
    run(["config", "--local", key, value], cwd)
