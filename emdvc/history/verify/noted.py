"""The verdict of a verification, noted of the commit that was verified."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from emdvc.history import git, notes
from emdvc.history.project import Project

KIND = "verified"


def note(
    project: Project, commit: str, scope: str, *, ok: bool, stages: Mapping[str, str], places: Sequence[str] = ()
) -> dict[str, Any]:
    """Note a verdict of a commit, and return the entry.

    Parameters
    ----------
    commit
        Its id.
    scope
        ``stages`` (computed again) or ``bytes`` (read again).
    ok
        Whether all was as recorded.
    stages
        Stage -> verdict.
    places
        Where bytes were read: ``cache``, names of remotes.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    from emdvc import __version__

    entry: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": _author(project),
        "emdvc": __version__,
        "scope": scope,
        "stages": dict(stages),
        "ok": ok,
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
    }
    if places:
        entry["places"] = list(places)
    notes.add(commit, KIND, entry, project.git_root)
    return entry


def _author(project: Project) -> str:
    # `Name <address> seconds zone`; git refuses where nobody told it who works here
    done = git.run(["var", "GIT_AUTHOR_IDENT"], project.git_root, accept=(0, 1, 128))
    return done.stdout.decode("utf-8", "replace").partition(" <")[0] if done.returncode == 0 else ""
