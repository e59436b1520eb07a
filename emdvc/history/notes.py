"""What is learnt of a commit after it was made: kept as git notes, which change neither the commit nor its files.

One note per commit, a JSON object with a list under each kind: ``verified`` (what ``emdvc verify`` found), ``runs``
(who computed a result, with which versions). The notes are one branch of git, :data:`REF`, that is pushed and fetched
by name: ``git push origin refs/notes/emdvc``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emdvc.history import git

REF = "refs/notes/emdvc"


def read(commit: str, cwd: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what is noted of a commit: kind -> entries, oldest first; empty where nothing is."""
    done = git.run(["notes", "--ref", REF, "show", commit], cwd, accept=(0, 1, 128))
    return _parsed(done.stdout) if done.returncode == 0 else {}


def add(commit: str, kind: str, entry: dict[str, Any], cwd: Path) -> None:
    """Add an entry to a commit's note.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    noted = read(commit, cwd)
    noted.setdefault(kind, []).append(entry)
    text = json.dumps(noted, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    git.run(["notes", "--ref", REF, "add", "--force", "--file=-", commit], cwd, stdin=text.encode())


def noted_commits(cwd: Path) -> set[str]:
    """Return the ids of all commits that have a note."""
    done = git.run(["notes", "--ref", REF, "list"], cwd, accept=(0, 1, 128))
    return {line.split()[1] for line in done.stdout.decode().splitlines() if len(line.split()) == 2}


def _parsed(content: bytes) -> dict[str, list[dict[str, Any]]]:
    try:
        noted = json.loads(content)
    except ValueError:
        return {}  # another program wrote it
    entries = noted.items() if isinstance(noted, dict) else ()
    return {
        str(kind): [one for one in list_ if isinstance(one, dict)] for kind, list_ in entries if isinstance(list_, list)
    }
