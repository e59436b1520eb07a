"""Pages that tell what several people type, each at a machine of their own: run as they stand.

A prompt names who types: ``anna$ git log``; a plain ``$`` is one nameless person. Each has a folder, a name and a state
of DVC of their own. ``...`` in what is shown stands for any text, as in a doctest.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(\w*)\$ (.*)\n", re.MULTILINE)


@dataclass
class Telling:
    """A page that is being run.

    Parameters
    ----------
    home
        Where the people's folders are made.
    environment
        What holds for all of them, on top of this process's own.
    """

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    at: dict[str, Path] = field(default_factory=dict)
    count: int = 0

    def folder(self, who: str) -> Path:
        """Return where somebody is now."""
        if who not in self.at:
            self.at[who] = self.home / who
            self.at[who].mkdir(exist_ok=True)
        return self.at[who]

    def run(self, page: str) -> None:
        """Run every command of a page in order, and compare what it prints with what is shown."""
        for match in BLOCK.finditer(page):
            self.block(match["kind"], match["text"])

    def block(self, kind: str, text: str) -> None:
        """Run one block; a script is written where its first line says (`# scripts/halo.py`, `# ben: edit.py`)."""
        if kind == "python":
            named = re.match(r"# (?:(\w+): )?(\S+\.py)\n", text)
            target = self.folder(named[1] or "" if named else "") / (named[2] if named else "simulate.py")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for who, line, shown in commands(text) if kind == "console" else ():
            said = self.typed(who, line, fails="error[" in shown or " has conflicts in " in shown)
            assert doctest.OutputChecker().check_output(shown, said, doctest.ELLIPSIS), (
                f"{who}$ {line}\n--- the page\n{shown}\n--- printed\n{said}"
            )

    def typed(self, who: str, line: str, *, fails: bool) -> str:
        """Return what a command prints."""
        self.count += 1
        words = shlex.split(line)
        folder = self.folder(who)
        if words[0] == "cd":
            self.at[who] = (folder / words[1]).resolve()
            return ""
        program = {
            "python": [sys.executable],
            "emdvc": [sys.executable, "-m", "emdvc"],
            "dvc": [sys.executable, "-m", "dvc"],
            "git": ["git"],
        }
        done = subprocess.run(
            [*program[words[0]], *words[1:]],
            cwd=folder,
            env=os.environ | self._person(who) | dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{who}$ {line}\n{done.stdout}"
        return done.stdout

    def _person(self, who: str) -> dict[str, str]:
        if not who:
            return {}
        name, mail = who.capitalize(), f"{who}@example.org"
        return {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail,
            "DVC_SITE_CACHE_DIR": str(self.home / f".site-{who}"),
        }


def commands(text: str) -> list[tuple[str, str, str]]:
    """Return each command of a block: who types it, what, and the output that is shown below it."""
    parts = _PROMPT.split(text)
    return list(zip(parts[1::3], parts[2::3], parts[3::3], strict=True))
