"""Running the git program: never through a shell, messages in English, its complaints as emdvc's errors."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault


def run(
    args: Sequence[str],
    cwd: Path,
    *,
    stdin: bytes | None = None,
    accept: tuple[int, ...] = (0,),
    env: Mapping[str, str] | None = None,
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
    env
        More environment variables.

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
            env=_environment() | dict(env or {}),
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


def maybe(args: Sequence[str], cwd: Path) -> str | None:
    """Run git and return what it printed, without the last line end; None where it failed."""
    done = run(args, cwd, accept=(0, 1, 2, 128))
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n") if done.returncode == 0 else None


def paths(output: bytes) -> list[str]:
    """Return the paths that git printed with ``-z``."""
    return [os.fsdecode(part) for part in output.split(b"\0") if part]
