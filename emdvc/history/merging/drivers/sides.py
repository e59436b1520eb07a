"""Which commits git is merging: its merge drivers get the three files alone, in temporary files.

What a state of git's or the environment names is believed only where it holds: the commit must have, at the file's
path, the very bytes that git gave. What cannot be verified is left out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emdvc.history import git
from emdvc.history.git_program import maybe
from emdvc.history.merging.contract import Side, Three
from emdvc.history.project import Project

#: How `emdvc merge` tells the drivers which commits it merges: ``base=OID,ours=OID,theirs=OID``.
VARIABLE = "EMDVC_MERGE_SIDES"
#: Where the drivers write what they said and asked, for `emdvc merge`: a line of JSON for each file.
NOTES = "EMDVC_MERGE_NOTES"
_GITHEAD = "GITHEAD_"
_LATEST = 20


def commits_of(project: Project, three: Three) -> dict[Side, str]:
    """Return the commits whose versions of a file git gave; a side whose commit cannot be verified is left out.

    Parameters
    ----------
    project
        The project.
    three
        The file, as git gave it.
    """
    return _Search(project.git_root, three).found()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A commit that may be theirs.

    Parameters
    ----------
    theirs
        The revision.
    picked
        Whether it is applied alone, so that its parent is the base (rebase, cherry-pick, stash).
    reverted
        Whether it is undone: it is the base, and its parent is theirs.
    """

    theirs: str
    picked: bool = True
    reverted: bool = False


class _Search:
    def __init__(self, root: Path, three: Three) -> None:
        self._root, self._three = root, three
        self._head = maybe(["rev-parse", "--verify", "--quiet", "HEAD"], root)
        self._oids = {side: self._oid(three.side(side)) for side in Side}
        self._ours = self._head if self._head is not None and self._has(self._head, Side.OURS) else None

    def found(self) -> dict[Side, str]:
        told = self._told()
        if told:
            return told
        found = {} if self._ours is None else {Side.OURS: self._ours}
        for candidate in self._candidates():
            commits = self._verified(candidate)
            if commits is not None:
                return {**found, **commits}
        guessed = [commits for one in self._introducing() if (commits := self._verified(one)) is not None]
        # a guess that also explains the base is the better one
        guessed.sort(key=lambda commits: Side.BASE not in commits)
        return {**found, **guessed[0]} if guessed else found

    def _told(self) -> dict[Side, str]:
        """Return what `emdvc merge` says, as far as it holds for this file."""
        said = dict(part.split("=", 1) for part in os.environ.get(VARIABLE, "").split(",") if "=" in part)
        commits = {side: said[side.value] for side in Side if side.value in said}
        return {side: oid for side, oid in commits.items() if self._has(oid, side)}

    def _candidates(self) -> Iterator[_Candidate]:
        yield from (_Candidate(name.removeprefix(_GITHEAD), picked=False) for name in os.environ
                    if name.startswith(_GITHEAD))  # fmt: skip
        folder = self._git_dir()
        for state in ("rebase-merge/done", "sequencer/todo"):
            command = _command(folder / state, last=state.endswith("done"))
            if command is not None:
                yield _Candidate(command[1], reverted=command[0] == "revert")
        yield from (_Candidate(name) for name in ("CHERRY_PICK_HEAD", "REBASE_HEAD") if (folder / name).is_file())
        if (folder / "REVERT_HEAD").is_file():
            yield _Candidate("REVERT_HEAD", reverted=True)
        for name in ("MERGE_HEAD", "FETCH_HEAD"):
            if (folder / name).is_file():
                oids = [line.split()[0] for line in (folder / name).read_text(encoding="utf-8").splitlines() if line]
                yield from (_Candidate(oid, picked=False) for oid in oids)
        if git.ref("refs/stash", self._root) is not None:
            yield _Candidate("refs/stash")

    def _introducing(self) -> Iterator[_Candidate]:
        """Yield what the commits may be that brought their version of the file, or took it away, the latest first."""
        oid = self._oids[Side.THEIRS]
        if oid is None:
            return
        asked = ["log", "--all", f"-{_LATEST}", "--format=%H", f"--find-object={oid}", "--"]
        text = maybe([*asked, f":(top,literal){self._three.path.as_posix()}"], self._root)
        for found in (text or "").split():
            yield _Candidate(found)
            yield _Candidate(found, reverted=True)
            yield _Candidate(found, picked=False)

    def _verified(self, candidate: _Candidate) -> dict[Side, str] | None:
        """Return theirs, and the base where it is verified, too; None where the candidate is not theirs."""
        commit = maybe(["rev-parse", "--verify", "--quiet", f"{candidate.theirs}^{{commit}}"], self._root)
        if commit is None:
            return None
        parent = maybe(["rev-parse", "--verify", "--quiet", f"{commit}^1"], self._root)
        theirs, base = (parent, commit) if candidate.reverted else (commit, parent)
        if theirs is None or not self._has(theirs, Side.THEIRS):
            return None
        found = {Side.THEIRS: theirs}
        if not candidate.picked:
            base = self._in_common(theirs)
        if base is not None and self._has(base, Side.BASE):
            found[Side.BASE] = base
        return found

    def _in_common(self, theirs: str) -> str | None:
        """Return the last commit in common; None where there are several: git then merges them for a base."""
        if self._ours is None:
            return None
        bases = (maybe(["merge-base", "--all", self._ours, theirs], self._root) or "").split()
        return bases[0] if len(bases) == 1 else None

    def _has(self, commit: str, side: Side) -> bool:
        """Say whether a commit has the file as git gave it for a side."""
        place = f"{commit}:{self._three.path.as_posix()}"
        return maybe(["rev-parse", "--verify", "--quiet", place], self._root) == self._oids[side]

    def _oid(self, content: bytes | None) -> str | None:
        """Return git's id of a file's bytes."""
        if content is None:
            return None
        digest = hashlib.sha256() if len(self._head or "") == 64 else hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % len(content) + content)
        return digest.hexdigest()

    def _git_dir(self) -> Path:
        return self._root / git.git(["rev-parse", "--git-dir"], self._root)


def _command(file: Path, *, last: bool) -> tuple[str, str] | None:
    """Return the command of git's list of commits to apply that is carried out now, and its commit."""
    if not file.is_file():
        return None
    lines = [line.split() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    commands = [words for words in lines if len(words) > 1 and not words[0].startswith("#")]
    if not commands:
        return None
    words = commands[-1 if last else 0]
    # `fixup -C OID` has an option before the commit
    oid = next((word for word in words[1:] if not word.startswith("-")), None)
    return None if oid is None else (words[0], oid)


def as_variable(commits: Mapping[Side, str]) -> str:
    """Return what :data:`VARIABLE` is set to."""
    return ",".join(f"{side.value}={oid}" for side, oid in commits.items())
