"""Every digest that a git repository speaks of: in any commit that anything leads to, in the index, in the workspace.

Texts are not understood, only searched for digests: what is named at all is kept.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history import git, git_program

#: What an object is called: an md5, with an ending where it is the list of a directory's files.
NAME = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_DIGEST = re.compile(rb"(?<![0-9a-zA-Z])[0-9a-f]{32}(?:\.dir)?(?![0-9a-zA-Z])")
_FILES = ("*.dvc", "*dvc.lock")
#: Where the branches of git remotes are kept while one looks.
_ASIDE = "refs/emdvc-gc"
_DAY = 86_400


class ShallowFault(EnvironmentFault):
    """The clone does not have its whole history."""

    default_code = Code.DATA_NEEDED


@dataclass(frozen=True, slots=True)
class Use:
    """Where a digest is recorded.

    Parameters
    ----------
    file
        The ``.dvc`` file or the dvc.lock, relative to the git root.
    commit
        Id of a commit; empty for the index and the workspace.
    """

    file: str
    commit: str = ""


@dataclass(slots=True)
class Digests:
    """What is recorded.

    Parameters
    ----------
    needed
        Digest -> one of its uses, of everything that a branch, a tag, a stash, a worktree or a young entry of a reflog
        leads to.
    past
        The same of what only older entries of reflogs lead to.
    raw
        Digests of raw data, needed or past.
    """

    needed: dict[str, Use] = field(default_factory=dict)
    past: dict[str, Use] = field(default_factory=dict)
    raw: set[str] = field(default_factory=set)

    def __ior__(self, other: Digests) -> Digests:
        """Take in what another repository records."""
        self.needed |= other.needed
        self.past |= other.past
        self.raw |= other.raw
        return self


def recorded(root: Path, days: float, *, workspaces: bool = True) -> Digests:
    """Return what a repository records.

    Parameters
    ----------
    root
        Of the repository; may be a bare one.
    days
        Entries of reflogs that are younger count as needed.
    workspaces
        Whether there are worktrees to look at.

    Raises
    ------
    ShallowFault
        The clone is shallow: what is older than its first commit is not known.
    """
    if git.git(["rev-parse", "--is-shallow-repository"], root) == "true":
        raise ShallowFault(
            "the clone is shallow: what its older commits need is not known",
            evidence=str(root),
            hint="git fetch --unshallow",
        )
    trees = worktrees(root) if workspaces else [root]
    young, old = _reflogs(trees, time.time() - days * _DAY)
    heads = [head.oid for tree in trees if (head := git.head(tree)) is not None]
    answer = Digests()
    _search(root, ["--all"], answer.needed, answer.raw, [*heads, *young])
    if workspaces:
        for tree in trees:
            _uncommitted(tree, answer)
    if old:
        _search(root, [], answer.past, answer.raw, old)
        answer.past = {digest: use for digest, use in answer.past.items() if digest not in answer.needed}
    return answer


def not_shared(root: Path) -> set[str]:
    """Return the digests that only this clone records: no git remote has a commit with them."""
    found: dict[str, Use] = {}
    answer = Digests()
    if git.head(root) is not None:
        _search(root, ["HEAD", "--branches", "--tags", "--not", "--remotes"], found, set())
    _uncommitted(root, answer)
    return {*found, *answer.needed}


def worktrees(root: Path) -> list[Path]:
    """Return the folders of all worktrees that are there."""
    said = git.run(["worktree", "list", "--porcelain", "-z"], root, accept=(0, 129))
    if said.returncode:  # git before 2.36 knows no -z
        said = git.run(["worktree", "list", "--porcelain"], root)
    parts = said.stdout.replace(b"\n", b"\0").split(b"\0")
    found = [Path(os.fsdecode(part[9:])) for part in parts if part.startswith(b"worktree ")]
    return [path for path in found if path.is_dir()] or [root]


@contextmanager
def fetched(root: Path) -> Iterator[list[EmdvcError]]:
    """Fetch what every git remote has, under other names, while one looks; yield what went wrong."""
    problems: list[EmdvcError] = []
    try:
        for name in git.remotes(root):
            refspec = f"+refs/*:{_ASIDE}/{name}/*"
            try:
                git.run(
                    ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", name, refspec], root
                )
            except EmdvcError as error:
                error.cause = f"the git remote {name} cannot be asked what others need"
                problems.append(error)
        yield problems
    finally:
        names = git.git(["for-each-ref", "--format=delete %(refname)", _ASIDE], root)
        if names:
            git.run(["update-ref", "--stdin"], root, stdin=f"{names}\n".encode())


def _reflogs(trees: Iterable[Path], since: float) -> tuple[list[str], list[str]]:
    """Return the commits that entries of reflogs younger and older than a time lead to; of stashes all are young."""
    young: dict[str, None] = {}
    old: dict[str, None] = {}
    for tree in trees:
        said = git_program.maybe(["log", "-g", "--all", "--date=unix", "--format=%H %gd", "--"], tree) or ""
        said += "\n" + (git_program.maybe(["log", "-g", "--date=unix", "--format=%H %gd", "HEAD", "--"], tree) or "")
        for line in said.splitlines():
            oid, _, name = line.partition(" ")
            when = re.search(r"@\{(\d+)\}$", name)
            # what waits in a queue of DVC's experiments is a stash, too
            keeps = name.rpartition("/")[2].startswith("stash@") or when is None or int(when[1]) >= since
            if oid:
                (young if keeps else old)[oid] = None
    return list(young), [oid for oid in old if oid not in young]


def _search(root: Path, refs: list[str], found: dict[str, Use], raw: set[str], commits: Iterable[str] = ()) -> None:
    """Search every version of a pointer or a dvc.lock that some refs and commits, and all before them, have."""
    said = git.run(
        [
            *("log", "--stdin", "-m", "--raw", "--root", "--no-abbrev", "-z", "--no-renames", "--full-history"),
            *("--format=commit:%H", *refs, "--", *_FILES),
        ],
        root,
        stdin="".join(f"{oid}\n" for oid in commits).encode(),
    ).stdout
    blobs: dict[str, Use] = {}
    commit = ""
    parts = iter(said.split(b"\0"))
    for part in parts:
        text = part.lstrip(b"\n").decode("utf-8", "surrogateescape")
        if text.startswith("commit:"):
            commit = text.removeprefix("commit:").strip()
        elif text.startswith(":"):
            blobs.setdefault(text.split()[3], Use(os.fsdecode(next(parts)), commit))
    contents = git.contents([oid for oid in blobs if oid.strip("0")], root)
    for oid, content in contents.items():
        _take(content, blobs[oid], found, raw)


def _uncommitted(tree: Path, answer: Digests) -> None:
    """Search what is staged in a worktree, and what lies in it."""
    staged = git.run(["ls-files", "-s", "-z", "--", *_FILES], tree).stdout
    blobs = {}
    for part in staged.split(b"\0"):
        if part:
            entry, _, name = os.fsdecode(part).partition("\t")
            blobs[entry.split()[1]] = Use(name)
    for oid, content in git.contents(list(blobs), tree).items():
        _take(content, blobs[oid], answer.needed, answer.raw)
    here = git.run(["ls-files", "-z", "--cached", "--others", "--", *_FILES], tree).stdout
    for name in git_program.paths(here):
        file = tree / name
        if file.is_file():
            _take(file.read_bytes(), Use(name), answer.needed, answer.raw)


def _take(content: bytes, use: Use, found: dict[str, Use], raw: set[str]) -> None:
    for match in _DIGEST.findall(content):
        digest = match.decode()
        found.setdefault(digest, use)
        if use.file.endswith(".dvc"):
            raw.add(digest)
