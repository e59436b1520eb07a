"""Which states of a result were computed again and compared, as `emdvc verify` noted it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from emdvc.compare.log.facts import Places
from emdvc.errors import MetadataError
from emdvc.history import notes
from emdvc.history.project import Project
from emdvc.history.verify.noted import KIND

#: What `emdvc verify` says of a stage that gave again what is recorded.
_GOOD = ("bit-identical", "within tolerance")


@dataclass(frozen=True, slots=True)
class Verified:
    """One time that a result was computed again.

    Parameters
    ----------
    verdict
        What came out, in the words of ``emdvc verify``.
    ok
        Whether it came out as recorded.
    when, who
        When, ISO 8601, and by whom.
    commit
        The commit that was computed.
    """

    verdict: str
    ok: bool
    when: str = ""
    who: str = ""
    commit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def verified(project: Project, places: Places) -> dict[str, Verified]:
    """Return the latest verification of each state of a result, by the md5 of its bytes.

    What was verified at one commit holds at every commit that records the same bytes.

    Parameters
    ----------
    project
        The project.
    places
        Where the result is recorded.
    """
    if not noted(project):
        return {}
    found: dict[str, Verified] = {}
    for commit, kinds in notes.read_all(project.git_root).items():
        if not kinds.get(KIND):
            continue
        try:
            facts = places.at(commit)
        except MetadataError:
            continue
        if facts.md5 is None or facts.stage is None:
            continue
        for entry in kinds[KIND]:
            one = _of(entry, facts.stage, commit)
            if one is not None and (facts.md5 not in found or one.when >= found[facts.md5].when):
                found[facts.md5] = one
    return found


def noted(project: Project) -> bool:
    """Say whether there are notes at all, without asking git."""
    git_dir = project.git_root / ".git"
    if not git_dir.is_dir():  # a worktree: git knows where the notes are
        return True
    packed = git_dir / "packed-refs"
    return (git_dir / notes.REF).is_file() or (packed.is_file() and notes.REF.encode() in packed.read_bytes())


def _of(entry: dict[str, Any], stage: str, commit: str) -> Verified | None:
    stages = entry.get("stages")
    verdict = stages.get(stage) if isinstance(stages, dict) else None
    if not isinstance(verdict, str):
        return None
    when, who = (str(entry.get(key) or "") for key in ("when", "who"))
    return Verified(verdict, verdict in _GOOD, when, who, commit)
