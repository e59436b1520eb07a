"""Which states of a repository are compared with which, and what of their pointers differs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emdvc.history import git, git_program
from emdvc.history.raw.pointers import INDEX, is_pointer

_NOTHING = re.compile(r"0{40}(?:0{24})?")
#: Positions of the followed branch that are remembered at most, to tell that its history was rewritten.
_POSITIONS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """From one state to the next.

    Parameters
    ----------
    old, new
        Ids of commits; `new` may be :data:`~emdvc.history.raw.pointers.INDEX`.
    rewritten
        Whether `new` took the place of `old` without following on it, as a force push does.
    """

    old: str
    new: str
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """What is to be checked.

    Parameters
    ----------
    name
        What a person calls it.
    steps
        Each commit after each of its parents, oldest first.
    tip
        The state at its end, in which what was lost on the way may be back.
    """

    name: str
    steps: tuple[Step, ...]
    tip: str


def span(text: str, root: Path) -> Span:
    """Return what a revision or a range stands for.

    ``REV`` is that commit; ``A..B`` are the commits that only B has, and what A records must be in B; ``A...B`` are
    those since the last commit that both have. Where A is all zeros, as forges write it of a new branch, all of B.

    Raises
    ------
    UsageError
        There is no such revision.
    """
    three = "..." in text
    start, dots, end = text.partition("..." if three else "..")
    if not dots:
        tip = git.resolve(text, root)
        return Span(text, tuple(_commits([tip, "--no-walk"], root)), tip)
    tip = git.resolve(end or "HEAD", root)
    if _NOTHING.fullmatch(start):
        return Span(text, tuple(_commits([tip], root)), tip)
    base = git.resolve(start or "HEAD", root)
    if three:
        base = git.merge_base(base, tip, root)
    steps = list(_commits([f"{base}..{tip}"], root))
    if not _is_ancestor(base, tip, root):
        steps.append(Step(base, tip, rewritten=True))
    return Span(text, tuple(steps), tip)


def unshared(root: Path, revision: str = "HEAD") -> Span | None:
    """Return the commits of a revision that no git remote has yet; None where there is no such revision."""
    tip = git.commit_of(revision, root)
    if tip is None:
        return None
    upstream = git.upstream(root) if revision == "HEAD" else None
    name = f"{upstream}..HEAD" if upstream else "what was not pushed"
    return Span(name, tuple(_commits([tip.oid, "--not", "--remotes"], root)), tip.oid)


def rewritten(root: Path) -> Span | None:
    """Return the earlier positions of the followed branch that its present one does not follow on: force pushes."""
    upstream = git.upstream(root)
    tip = git.commit_of(upstream, root) if upstream else None
    if upstream is None or tip is None:
        return None
    said = git_program.maybe(["log", "-g", f"--max-count={_POSITIONS}", "--format=%H", upstream, "--"], root) or ""
    before = [oid for oid in dict.fromkeys(said.split()) if oid != tip.oid]
    gone = [oid for oid in before if not _is_ancestor(oid, tip.oid, root)]
    return Span(upstream, tuple(Step(oid, tip.oid, rewritten=True) for oid in gone), tip.oid) if gone else None


def index(root: Path) -> Span | None:
    """Return what a commit would be made of now, after HEAD and what is merged into it; None before the first one."""
    head = git.head(root)
    if head is None:
        return None
    return Span(INDEX, tuple(Step(oid, INDEX) for oid in (head.oid, *merged(root))), INDEX)


def merged(root: Path) -> list[str]:
    """Return the commits that are being merged into HEAD."""
    said = git.git(["rev-parse", "--git-path", "MERGE_HEAD"], root)
    place = root / said
    heads = place.read_text(encoding="utf-8").split() if place.is_file() else []
    # before a merge that met no conflict is committed, git tells its hook by the environment alone
    heads += [name.removeprefix("GITHEAD_") for name in os.environ if name.startswith("GITHEAD_")]
    return [oid for oid in dict.fromkeys(heads) if git.commit_of(oid, root) is not None]


def differing(steps: Sequence[Step], root: Path) -> Iterator[tuple[Step, list[str]]]:
    """Yield each step in which ``.dvc`` files changed or went, with their paths; also those that came."""
    committed = [step for step in steps if step.new != INDEX]
    trees = _trees({oid for step in committed for oid in (step.old, step.new)}, root)
    pairs = {step: (trees[step.old], trees[step.new]) for step in committed if {step.old, step.new} <= trees.keys()}
    asked = "".join(f"{old} {new}\n" for old, new in dict.fromkeys(pairs.values()))
    options = ["-r", "-z", "--raw", "--no-renames"]
    said = (
        git.run(["diff-tree", "--stdin", *options, "--", "*.dvc"], root, stdin=asked.encode()).stdout if asked else b""
    )
    changed = _parsed(said)
    for step in steps:
        if step.new == INDEX:
            found = git.run(["diff-index", "--cached", *options[1:], step.old, "--", "*.dvc"], root).stdout
            letters = _records(found)
        else:
            letters = changed.get(pairs[step], {}) if step in pairs else {}
        if any(letter != "A" for letter in letters.values()):
            yield step, [path for path in letters if is_pointer(path)]


def _commits(words: Sequence[str], root: Path) -> Iterator[Step]:
    said = git.git(["rev-list", "--reverse", "--topo-order", "--parents", *words], root)
    for line in said.splitlines():
        commit, *parents = line.split()
        yield from (Step(parent, commit) for parent in parents)


def _is_ancestor(old: str, new: str, root: Path) -> bool:
    return git.run(["merge-base", "--is-ancestor", old, new], root, accept=(0, 1, 128)).returncode == 0


def _trees(commits: Iterable[str], root: Path) -> dict[str, str]:
    """Return the tree of each commit; of a shallow clone's missing parents there is none."""
    names = sorted(commits)
    if not names:
        return {}
    asked = "".join(f"{oid}^{{tree}}\n" for oid in names).encode()
    lines = git.run(["cat-file", "--batch-check"], root, stdin=asked).stdout.decode().splitlines()
    answers = zip(names, (line.split() for line in lines), strict=True)
    return {oid: words[0] for oid, words in answers if len(words) == 3 and words[1] == "tree"}


def _parsed(said: bytes) -> dict[tuple[str, str], dict[str, str]]:
    """Return path -> letter of each pair of trees in the answer of ``git diff-tree --stdin -z``."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    at, now = 0, {}
    while at < len(said):
        if said[at : at + 1] == b":":
            middle = said.index(b"\0", at)
            end = said.index(b"\0", middle + 1)
            now[os.fsdecode(said[middle + 1 : end])] = said[middle - 1 : middle].decode()
            at = end + 1
        else:
            end = said.index(b"\n", at)
            old, new = said[at:end].decode().split()
            now = found.setdefault((old, new), {})
            at = end + 1
    return found


def _records(said: bytes) -> dict[str, str]:
    parts = said.split(b"\0")
    return {os.fsdecode(path): head[-1:].decode() for head, path in zip(parts[::2], parts[1::2], strict=False)}
