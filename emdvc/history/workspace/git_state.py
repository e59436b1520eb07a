"""What git says for ``emdvc status``: its programs all run at the same time, while the data is looked at."""

from __future__ import annotations

import os
from types import TracebackType
from typing import NamedTuple

from emdvc.history import git
from emdvc.history.cache_place import Remember, anew
from emdvc.history.git import Change, Commit
from emdvc.history.project import Project


class Branch(NamedTuple):
    """The state of git.

    Parameters
    ----------
    name
        None on a detached HEAD.
    commit
        None before the first.
    upstream, ahead, behind
        The branch that is followed, as last fetched.
    changes
        Every file that differs from the last commit.
    """

    name: str | None
    commit: Commit | None
    upstream: str | None
    ahead: int
    behind: int
    changes: tuple[Change, ...]


class GitState:
    """Asks git when it is made, and reads the answers when they are wanted.

    Parameters
    ----------
    project
        The project.
    remember
        Remembers what was said of a commit before.

    Raises
    ------
    EnvironmentFault
        Git is not installed; when an answer is read: git failed.
    """

    def __init__(self, project: Project, remember: Remember = anew) -> None:
        self._project = project
        self._remember = remember
        listed = ("ls-files", "-z", "--exclude-standard")
        patterns = ("--", "*.dvc", "dvc.yaml", "*/dvc.yaml")
        self._asked = {
            "status": git.start([*git.STATUS, "--branch", "--ahead-behind"], project.root),
            "files": git.start([*listed, "--cached", "--others", *patterns], project.root),
            "hidden": git.start([*listed, "--cached", "--ignored", *patterns], project.root),
        }

    def __enter__(self) -> GitState:
        """Return the object itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the programs whose answers nobody wanted."""
        for process in self._asked.values():
            process.communicate()

    def branch(self) -> Branch:
        """Return branch, last commit, and what differs from it."""
        output = self._answer("status")
        said = {}
        for part in output.split(b"\0"):
            if part.startswith(b"# branch."):
                key, _, value = os.fsdecode(part)[len("# branch.") :].partition(" ")
                said[key] = value
        oid = said.get("oid", "(initial)")
        commit = None if oid == "(initial)" else self._remember("commit", oid, self._commit)
        # an upstream that was never fetched has no numbers
        ahead, behind = said.get("ab", "+0 -0").split()
        head = said.get("head")
        return Branch(
            None if head == "(detached)" else head,
            Commit(*commit) if commit else None,
            said.get("upstream") if "ab" in said else None,
            int(ahead),
            -int(behind),
            tuple(git.parsed_changes(output)),
        )

    def _commit(self, oid: str) -> list[str]:
        line = ["log", "-1", f"--format={git.COMMIT}", "--end-of-options", oid, "--"]
        return git.git(line, self._project.root).split("\0")

    def pointers(self) -> tuple[list[str], list[str]]:
        """Return the ``.dvc`` and dvc.yaml files of the project, and those that git both keeps and ignores.

        Files that are gone from the workspace may be among them.
        """
        files, hidden = (
            sorted({os.fsdecode(part) for part in self._answer(name).split(b"\0") if part})
            for name in ("files", "hidden")
        )
        return files, hidden

    def _answer(self, name: str) -> bytes:
        process = self._asked.pop(name)
        output, complaint = process.communicate()
        if process.returncode != 0:
            raise git.failed([str(name)], complaint)
        return output
