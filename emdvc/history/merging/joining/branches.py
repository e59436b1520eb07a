"""Who is merged: a branch here or on a remote, a tag, a commit; and how the two lines of work stand to each other."""

from __future__ import annotations

from dataclasses import dataclass

from emdvc.errors import Code, UsageError, suggest
from emdvc.history import git, notes
from emdvc.history.git_program import maybe
from emdvc.history.merging.contract import Side
from emdvc.history.merging.drivers import sides
from emdvc.history.project import Project

_REMOTES = "refs/remotes/"
#: Branches whose merges do not say where they went.
_TRUNKS = ("main", "master")


@dataclass(frozen=True, slots=True)
class Sides:
    """Two lines of work.

    Parameters
    ----------
    branch
        What is merged, as git names it: ``tilt``, ``origin/tilt``, a tag, a short commit.
    kind
        ``branch``, ``remote-tracking branch``, ``tag``, ``commit``.
    into
        The branch here; None on a detached HEAD.
    ours, theirs
        The commits.
    bases
        The last commits in common: one, or several after criss-cross merges.
    """

    branch: str
    kind: str
    into: str | None
    ours: str
    theirs: str
    bases: tuple[str, ...]

    @property
    def merged_already(self) -> bool:
        """Whether all of theirs is here."""
        return self.theirs in self.bases

    @property
    def fast_forward(self) -> bool:
        """Whether nothing was committed here that theirs has not."""
        return self.ours in self.bases

    @property
    def message(self) -> str:
        """What git would say in the merge commit."""
        into = f" into {self.into}" if self.into and self.into not in _TRUNKS else ""
        return f"Merge {self.kind} '{self.branch}'{into}"

    def for_drivers(self) -> dict[str, str]:
        """Return the environment that tells merge drivers what is merged."""
        known = {Side.OURS: self.ours, Side.THEIRS: self.theirs}
        if len(self.bases) == 1:  # of several git makes one that is no commit
            known[Side.BASE] = self.bases[0]
        # git sets the name of theirs alone, and the worktree has no branch
        names = {f"GITHEAD_{self.ours}": self.into} if self.into else {}
        return {sides.VARIABLE: sides.as_variable(known), **names}


def find(project: Project, branch: str) -> Sides:
    """Return what is to be merged.

    Parameters
    ----------
    branch
        As it was typed; ``x`` is also found as ``origin/x``, ``-`` is the branch of before.

    Raises
    ------
    UsageError
        There is no such branch, tag or commit; several remotes have one; nothing is in common; nothing is here yet.
    """
    root = project.git_root
    head = git.head(root)
    if head is None:
        raise UsageError("nothing is committed here yet", evidence="there is nothing to merge into", hint="emdvc save")
    name, kind, theirs = _named(branch, project)
    into = git.branch(root)
    bases = (maybe(["merge-base", "--all", head.oid, theirs], root) or "").split()
    if not bases:
        shallow = git.git(["rev-parse", "--is-shallow-repository"], root) == "true"
        raise UsageError(
            f"{branch} has no commit in common with {into or 'HEAD'}",
            code=Code.REVISION_UNKNOWN,
            evidence="this clone is shallow" if shallow else "it is the history of another project",
            hint="git fetch --unshallow" if shallow else None,
        )
    return Sides(name, kind, into, head.oid, theirs, tuple(bases))


def _named(branch: str, project: Project) -> tuple[str, str, str]:
    """Return name, kind and commit."""
    root = project.git_root
    if branch == "-":
        branch = maybe(["rev-parse", "--abbrev-ref", "@{-1}"], root) or branch
    full = maybe(["rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", branch], root)
    if full is None and maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", branch], root) is None:
        found = git.git(["for-each-ref", "--format=%(refname)", f"{_REMOTES}*/{branch}"], root).split()
        if len(found) > 1:
            names = [ref.removeprefix(_REMOTES) for ref in found]
            raise UsageError(
                f"several remotes have a branch {branch}",
                code=Code.REVISION_UNKNOWN,
                evidence=", ".join(names),
                hint=f"emdvc merge {names[0]}",
            )
        if not found:
            raise _unknown(branch, project)
        full = found[0]
    oid = git.resolve(full or branch, root)
    for start, kind in (("refs/heads/", "branch"), (_REMOTES, "remote-tracking branch"), ("refs/tags/", "tag")):
        if full and full.startswith(start):
            return full.removeprefix(start), kind, oid
    return git.git(["rev-parse", "--short", oid], root), "commit", oid


def _unknown(branch: str, project: Project) -> UsageError:
    listed = git.git(["for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", _REMOTES], project.git_root)
    # a branch of a remote is found without the remote's name, too
    names = dict.fromkeys(ref.split("/", 3 if ref.startswith(_REMOTES) else 2)[-1] for ref in listed.split())
    near = suggest(branch, [name for name in names if name != "HEAD"])
    return UsageError(
        f"unknown branch '{branch}'",
        code=Code.REVISION_UNKNOWN,
        evidence="no branch here or on a remote, no tag and no commit has that name",
        hint=f"did you mean {near}? emdvc merge {near}" if near else "git branch --all; git fetch asks the remote",
    )


def incoming(project: Project, found: Sides) -> list[git.Commit]:
    """Return the commits that come in, the last first."""
    asked = ["log", "-z", f"--format={git.COMMIT.replace('%x00', '%x1f')}", f"{found.ours}..{found.theirs}"]
    listed = git.git(asked, project.git_root)
    return [git.Commit(*entry.split("\x1f")) for entry in listed.split("\0") if entry]


def join_notes(project: Project, found: Sides) -> None:
    """Join what a remote has noted of its commits (who computed what), as far as git has fetched it, with what is here.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    root = project.git_root
    names = git.remotes(root) if found.kind == "remote-tracking branch" else []
    for remote in names:
        if found.branch.startswith(f"{remote}/"):
            notes.join(root, notes.THEIRS + remote)
