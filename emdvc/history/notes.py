"""What is learnt of a commit after it was made: kept as git notes, which change neither the commit nor its files.

One note per commit, a JSON object with a list under each kind: ``verified`` (what ``emdvc verify`` found), ``runs``
(who computed a result, with which versions). The notes are one branch of git, :data:`REF`, that is pushed and fetched
by name: ``git push origin refs/notes/emdvc``; :func:`share` does both, and joins what others noted meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emdvc.errors import EnvironmentFault
from emdvc.history import git

REF = "refs/notes/emdvc"
#: What a remote had when it was asked last. Its place is such that `git fetch` alone can bring it, too.
THEIRS = "refs/emdvc/notes/"


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
    extend(commit, kind, [entry], cwd)


def extend(commit: str, kind: str, entries: Iterable[dict[str, Any]], cwd: Path) -> None:
    """Add entries to a commit's note.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    noted = read(commit, cwd)
    noted.setdefault(kind, []).extend(entries)
    _write(commit, noted, cwd)


def read_all(cwd: Path, revision: str | None = None) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what is noted of many commits: commit -> kind -> entries, the latest commit first.

    Parameters
    ----------
    cwd
        A folder of the repository.
    revision
        Only of this commit and those before it; None: of all, in no order.
    """
    blobs = _blobs(REF, cwd)
    if not blobs:
        return {}
    wanted = list(blobs)
    if revision is not None:
        wanted = [oid for oid in git.git(["rev-list", revision, "--"], cwd).split() if oid in blobs]
    contents = git.contents([blobs[oid] for oid in wanted], cwd)
    return {oid: _parsed(contents.get(blobs[oid], b"")) for oid in wanted}


def noted_commits(cwd: Path) -> set[str]:
    """Return the ids of all commits that have a note."""
    done = git.run(["notes", "--ref", REF, "list"], cwd, accept=(0, 1, 128))
    return {line.split()[1] for line in done.stdout.decode().splitlines() if len(line.split()) == 2}


def fetch(cwd: Path, remote: str) -> bool:
    """Fetch what a remote has noted and join it with what is here; return whether the remote has notes.

    Raises
    ------
    EnvironmentFault
        The remote cannot be reached, or git refused to join.
    """
    theirs = THEIRS + remote
    done = git.run(["fetch", "--quiet", "--no-tags", remote, f"+{REF}:{theirs}"], cwd, accept=(0, 1, 128))
    if done.returncode != 0:
        if b"couldn't find remote ref" in done.stderr:
            return False
        raise git.failed(["fetch"], done.stderr)
    join(cwd, theirs)
    return True


def join(cwd: Path, theirs: str) -> None:
    """Join the notes of another ref into those here: where both speak of a commit, all entries of both are kept.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    ours, other = (git.ref(name, cwd) for name in (REF, theirs))
    if other is None or ours == other or (ours is not None and _is_before(other, ours, cwd)):
        return
    if ours is None or _is_before(ours, other, cwd):
        git.run(["update-ref", REF, other, *([ours] if ours else [])], cwd)
        return
    here, there = _blobs(REF, cwd), _blobs(theirs, cwd)
    both = [oid for oid in here if there.get(oid, here[oid]) != here[oid]]
    contents = git.contents([name for oid in both for name in (here[oid], there[oid])], cwd)
    # git knows no way to join JSON: it keeps ours where both speak, and the entries of both are written then
    git.run(["notes", "--ref", REF, "merge", "--quiet", "--strategy=ours", theirs], cwd)
    for oid in both:
        _write(oid, _union(_parsed(contents[there[oid]]), _parsed(contents[here[oid]])), cwd)


def share(cwd: Path, remote: str) -> str | None:
    """Push the notes to a remote, joined with what others noted meanwhile.

    Returns
    -------
    str or None
        Why it was not possible; None when it was, and where there are no notes. Notes are never worth a failure.
    """
    try:
        for last in (False, True):
            fetch(cwd, remote)
            ours = git.ref(REF, cwd)
            if ours is None or ours == git.ref(THEIRS + remote, cwd):
                return None
            # without the hook that pushes data, too: the branch's push has called it
            done = git.run(["push", "--quiet", "--no-verify", remote, f"{REF}:{REF}"], cwd, accept=(0, 1, 128))
            if done.returncode == 0:
                git.run(["update-ref", THEIRS + remote, ours], cwd)
                return None
            if last:  # once more where another pushed between the two commands
                raise git.failed(["push"], done.stderr)
    except EnvironmentFault as error:
        return error.evidence or error.cause
    return None


def _write(commit: str, noted: Mapping[str, Any], cwd: Path) -> None:
    text = json.dumps(noted, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    git.run(["notes", "--ref", REF, "add", "--force", "--file=-", commit], cwd, stdin=text.encode())


def _blobs(ref: str, cwd: Path) -> dict[str, str]:
    """Return the object that holds the note of each commit."""
    if git.ref(ref, cwd) is None:
        return {}
    listed = git.git(["ls-tree", "-r", "-z", "--full-tree", ref], cwd)
    # `100644 blob OID<tab>PATH`: git spreads many notes over folders, whose names are the first digits of the commit
    rows = [line.partition("\t") for line in listed.split("\0") if line]
    return {path.replace("/", ""): facts.split()[2] for facts, _, path in rows}


def _is_before(old: str, new: str, cwd: Path) -> bool:
    return git.run(["merge-base", "--is-ancestor", old, new], cwd, accept=(0, 1)).returncode == 0


def _union(
    first: Mapping[str, list[dict[str, Any]]], second: Mapping[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of both, each once, by their times."""
    joined = {}
    for kind in {**first, **second}:
        entries = {json.dumps(one, sort_keys=True): one for one in (*first.get(kind, ()), *second.get(kind, ()))}
        joined[kind] = sorted(
            entries.values(), key=lambda one: (str(one.get("when", "")), json.dumps(one, sort_keys=True))
        )
    return joined


def _parsed(content: bytes) -> dict[str, list[dict[str, Any]]]:
    try:
        noted = json.loads(content)
    except ValueError:
        return {}  # another program wrote it
    entries = noted.items() if isinstance(noted, dict) else ()
    return {
        str(kind): [one for one in list_ if isinstance(one, dict)] for kind, list_ in entries if isinstance(list_, list)
    }
