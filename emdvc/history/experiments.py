"""Experiments of DVC by name: the commits that ``dvc exp run`` and its queue make outside of all branches.

DVC keeps each under ``refs/exps/<2>/<38>/<name>``, where the digits are the commit that it began at. What waits in the
queue, and what failed there, are entries of stashes beside them; what runs is a file in DVC's temporary folder. All of
it is read with git alone: an experiment is named on the way of commands that need no dvc.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emdvc.errors import Code, UsageError
from emdvc.history.git_program import git, maybe
from emdvc.history.project import Project

_ROOT = "refs/exps"
_DONE = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38}(?:[0-9a-f]{24})?)/([^/]+)")
#: Stashes of what has no result -> what is said of it; `exps/stash` is that of a run in the workspace.
_STASHES = {"refs/exps/celery/failed": "failed", "refs/exps/celery/stash": "queued", "refs/exps/stash": "queued"}
_STASHED = re.compile(r"dvc-exp:[0-9a-f]+:([0-9a-f]+):([^~^:\\?\[\]*]+)")
#: Of an experiment that DVC is about to run, or runs.
_RUNNING = (1, 2)
#: What may stand behind the name of a revision: ``wide~1``, ``wide^``.
_BEHIND = re.compile(r"[~^].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A run of DVC that has a name, and a result.

    Parameters
    ----------
    name
        As DVC or a person called it.
    baseline
        Id of the commit that it began at.
    oid
        Id of its own commit.
    others
        How many more have that name and began elsewhere, as far as that was asked.
    """

    name: str
    baseline: str
    oid: str
    others: int = 0

    def to_dict(self) -> dict[str, str]:
        """Return plain values."""
        return {"name": self.name, "commit": self.oid, "baseline": self.baseline}


def refs(cwd: Path, *more: str) -> dict[str, str]:
    """Return the refs of all experiments, and below more places, with what they point to."""
    said = git(["for-each-ref", "--format=%(objectname) %(refname)", _ROOT, *more], cwd)
    return {name: oid for oid, _, name in (line.partition(" ") for line in said.splitlines())}


def finished(known: Iterable[tuple[str, str]]) -> list[Experiment]:
    """Return the experiments among some refs and what they point to."""
    found = [(match, oid) for name, oid in known if (match := _DONE.fullmatch(name))]
    return [Experiment(match[3], match[1] + match[2], oid) for match, oid in found]


def resolve(revision: str, known: dict[str, str], cwd: Path) -> str | None:
    """Return the id of the commit that a revision names, which begins with the name of an experiment.

    Of several experiments of one name the one that began at the current commit is meant.

    Parameters
    ----------
    revision
        ``NAME``, ``NAME~1``, ``NAME^``: what git itself does not know.
    known
        What :func:`refs` gave.
    cwd
        A folder of the repository.

    Returns
    -------
    oid
        None where there is no such experiment.

    Raises
    ------
    UsageError
        It has no result yet, or failed; several have that name, and none began here.
    """
    name = _BEHIND.sub("", revision)
    same = [one for one in finished(known.items()) if one.name == name]
    here = maybe(["rev-parse", "--verify", "--quiet", "HEAD"], cwd)
    one = next((one for one in same if one.baseline == here), None)
    if one is None:
        states = unfinished(known, cwd)
        state = states.get((name, here or "")) or (None if same else _any(states, name))
        if state is not None:
            raise _no_result(name, state)
        if len(same) > 1:
            raise _several(same, cwd)
    found = one or next(iter(same), None)
    if found is None or name == revision:
        return found.oid if found else None
    behind = f"{found.oid}{revision[len(name) :]}^{{commit}}"
    return maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", behind], cwd)


def unfinished(known: Iterable[str], cwd: Path) -> dict[tuple[str, str], str]:
    """Return what has no result: name and baseline -> ``queued``, ``failed`` or ``running``.

    Parameters
    ----------
    known
        Names of refs: stashes that are not among them are not asked.
    cwd
        A folder of the repository.
    """
    found = {}
    for stash, state in _STASHES.items():
        if stash in known:
            for line in (maybe(["log", "-g", "--format=%gs", stash, "--"], cwd) or "").splitlines():
                if match := _STASHED.search(line):
                    found[match[2], match[1]] = state
    for said in _runs(cwd):
        # one that was killed leaves its file behind, but not its folder
        apart = said.get("location") != "workspace" and Path(str(said.get("root_dir"))).is_dir()
        if apart and said.get("status") in _RUNNING:
            found[str(said.get("name")), str(said.get("baseline_rev"))] = "running"
    return found


def among(revisions: Iterable[str | None], cwd: Path) -> list[Experiment]:
    """Return the experiments that some revisions name, each once; a branch or commit of the same name wins."""
    words = {word for word in revisions if word and word != "HEAD"}
    known = refs(cwd) if words else {}
    done = finished(known.items())
    found = []
    for word in sorted(words & {one.name for one in done}):
        if maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{word}^{{commit}}"], cwd) is None:
            oid = resolve(word, known, cwd)
            same = [one for one in done if one.name == word]
            found += [replace(one, others=len(same) - 1) for one in same if one.oid == oid][:1]
    return found


def _runs(cwd: Path) -> Iterator[dict[str, Any]]:
    """Yield what DVC notes of the runs that it started from here."""
    project = Project.find_or_none()
    for root in dict.fromkeys([cwd, project.root if project is not None else cwd]):
        for place in ("run", "standalone/run"):
            for file in sorted((root / ".dvc" / "tmp" / "exps" / place).glob("*/*.run")):
                with suppress(OSError, ValueError):
                    said = json.loads(file.read_bytes())
                    if isinstance(said, dict):
                        yield said


def _any(states: dict[tuple[str, str], str], name: str) -> str | None:
    return next((state for (one, _), state in states.items() if one == name), None)


def _no_result(name: str, state: str) -> UsageError:
    if state == "failed":
        return UsageError(
            f"the experiment '{name}' failed: it has no result",
            code=Code.REVISION_UNKNOWN,
            evidence="what it printed is kept by DVC's queue",
            hint=f"dvc queue logs {name}",
        )
    hint = f"dvc queue logs -f {name}" if state == "running" else "dvc queue start"
    return UsageError(
        f"the experiment '{name}' has no result yet",
        code=Code.REVISION_UNKNOWN,
        evidence="it runs now" if state == "running" else "it waits in DVC's queue",
        hint=hint,
    )


def _several(same: list[Experiment], cwd: Path) -> UsageError:
    told = []
    for one in same:
        of = maybe(["log", "-1", '--format=%h "%s"', one.baseline, "--"], cwd) or one.baseline[:7]
        told.append(f"{one.oid[:7]} began at {of}")
    return UsageError(
        f"{len(same)} experiments are called '{same[0].name}', and none began at the current commit",
        code=Code.REVISION_UNKNOWN,
        evidence="; ".join(told),
        hint=f"name the one that is meant by its id: emdvc diff {same[0].oid[:7]}",
    )
