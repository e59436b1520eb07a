"""Running command lines as a person types them: each is printed, run as a process of its own, and its answer shown."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault

#: Lines of DVC's output, and of the steps that it runs, that say nothing in this story.
_CHATTER = (
    "> emdvc run",
    "'raw/",
    "results/",
    "Generating lock file",
    "To enable auto",
    "To track the changes",
    "Updating lock file",
    "Use `dvc push`",
    "Verifying data sources",
)
_WIDTH = 100


@dataclass(frozen=True)
class Shell:
    """Where commands run, and as whom.

    Parameters
    ----------
    folder
        The current folder of the commands.
    person
        Name in git's history, where this machine's git knows none.
    threads
        Number of threads of each step; None: all.
    """

    folder: Path
    person: str
    threads: int | None = None

    def run(self, *words: str, lines: int = 14) -> str:
        """Run one command line and return what it said on stdout and stderr, without DVC's chatter.

        Parameters
        ----------
        words
            As typed: the program (emdvc, dvc or git) and its arguments.
        lines
            How many lines of the answer are shown.

        Raises
        ------
        EnvironmentFault
            The command failed.
        """
        typed = shlex.join(words)
        print(f"\n  $ {typed if self.threads is None else f'EMDVC_THREADS={self.threads} {typed}'}", flush=True)
        program, *arguments = words
        command = [sys.executable, "-m", program, *arguments] if program in ("emdvc", "dvc") else list(words)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        answer = [line.rstrip() for line in done.stdout.splitlines()]
        answer = [line for line in answer if line and not (program == "dvc" and line.startswith(_CHATTER))]
        if done.returncode != 0:
            raise EnvironmentFault(
                f"a command of the demo failed with status {done.returncode}: {shlex.join(words)}",
                code=Code.PROGRAM_FAILED,
                evidence="\n  ".join(answer[-12:]),
                hint=f"cd {self.folder} and run it there",
            )
        _show(answer, lines)
        return "\n".join(answer)

    def _environment(self) -> dict[str, str]:
        programs = str(Path(sys.executable).parent)
        environment = {
            **os.environ,
            # `dvc repro` calls `emdvc` by its name: that of this installation
            "PATH": os.pathsep.join([programs, os.environ.get("PATH", "")]),
            "COLUMNS": str(_WIDTH),
            "PYTHONIOENCODING": "utf-8",
            "DVC_NO_ANALYTICS": "1",
        }
        if self.threads is not None:
            environment["EMDVC_THREADS"] = str(self.threads)
        if _git_knows_nobody(self.folder):
            for role in ("AUTHOR", "COMMITTER"):
                environment.setdefault(f"GIT_{role}_NAME", self.person)
                environment.setdefault(f"GIT_{role}_EMAIL", f"{self.person.lower()}@example.org")
        return environment


def _git_knows_nobody(folder: Path) -> bool:
    asked = subprocess.run(["git", "config", "user.email"], cwd=folder, capture_output=True, check=False)
    return asked.returncode != 0


def _show(answer: list[str], lines: int) -> None:
    for line in answer[:lines]:
        print(f"  {line}" if len(line) <= _WIDTH + 20 else f"  {line[: _WIDTH + 17]}...")
    if len(answer) > lines:
        print(f"  ... ({len(answer) - lines} more lines)")
    sys.stdout.flush()


def chapter(number: int, title: str) -> None:
    """Print a heading."""
    print(f"\n{number}. {title}\n{'-' * (len(title) + 3)}", flush=True)


def comment(text: str) -> None:
    """Print a sentence or two of commentary; a line break at its start stays."""
    print("\n" * text.startswith("\n") + textwrap.fill(" ".join(text.split()), _WIDTH), flush=True)
