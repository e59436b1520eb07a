"""``emdvc verify --raw``: every change and every drop of raw data that nobody gave a reason for, with the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emdvc.history import git_program
from emdvc.history.batch import Batch
from emdvc.history.raw import revisions
from emdvc.history.raw.pointers import INDEX, GitTree, Raw, Tree
from emdvc.history.raw.revisions import Span, Step
from emdvc.history.raw.rules import Loss, losses
from emdvc.history.snapshot import sidecar_path


@dataclass(frozen=True, slots=True)
class Finding:
    """Raw data that changed or went without a reason.

    Parameters
    ----------
    path
        Of the data, relative to the git root.
    how
        ``changed``, ``emptied``, ``dropped``, ``made editable``; in the workspace also ``modified``.
    where
        Short id of the commit, ``index``, ``workspace``, or the branch that was rewritten.
    before, now
        The md5 that was recorded, and what is there now; None where nothing, or unknown.
    recorded_in
        The commit that still records it.
    remedy
        The command that brings it back.
    on_purpose
        The command that gives the reason.
    """

    path: str
    how: str
    where: str
    before: str
    now: str | None
    recorded_in: str | None
    remedy: str
    on_purpose: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class RawCheck:
    """The answer.

    Parameters
    ----------
    compared
        What was looked at, in words.
    steps
        Number of states that were compared with the one before.
    findings
        What was lost.
    absent
        Raw data that is recorded, but is not here.
    mended
        Raw data that could be written, and is read-only again.
    separated
        Raw data that shared its bytes with the cache, and has its own again.
    """

    compared: list[str] = field(default_factory=list)
    steps: int = 0
    findings: list[Finding] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    separated: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all raw data is as it was recorded."""
        return not self.findings


def check(root: Path, spans: Iterable[Span | None], end: Tree | None = None) -> RawCheck:
    """Compare the states of a repository.

    Parameters
    ----------
    root
        The git root.
    spans
        What is to be looked at.
    end
        The state in which what was lost on the way may be back; None: that at the end of each span.
    """
    answer = RawCheck()
    with Batch(root) as batch:
        for span in spans:
            if span is None:
                continue
            answer.compared.append(span.name)
            answer.steps += len(span.steps)
            answer.findings += _found(span, end or GitTree(span.tip, batch), root, batch)
    answer.findings = list({(one.path, one.before, one.where): one for one in answer.findings}.values())
    return answer


def _found(span: Span, tip: Tree, root: Path, batch: Batch) -> Iterable[Finding]:
    for step, pointers in revisions.differing(span.steps, root):
        old, new = GitTree(step.old, batch), GitTree(step.new, batch)
        for loss in losses(old, new, pointers):
            # what was lost in one commit may be back, or its reason given, in a later one
            if (step.new != tip.name and not _still(loss, old, tip)) or undone(loss, old, new, root, batch):
                continue
            yield _finding(loss, step, span)


def _still(loss: Loss, old: Tree, tip: Tree) -> bool:
    pointers = [loss.raw.pointer, *tip.pointers()]
    return any(one.raw == loss.raw for one in losses(old, tip, pointers))


def undone(loss: Loss, old: Tree, new: Tree, root: Path, batch: Batch) -> bool:
    """Say whether a change only takes back an earlier one that had no reason: then the data is what it was before."""
    text = new.text(loss.raw.pointer)
    if loss.now is None or text is None:
        return False
    said = git_program.maybe(
        ["log", "--full-history", "--format=%H", old.name, "--", f":(top,literal){loss.raw.pointer}"], root
    )
    for commit in (said or "").split():
        then = GitTree(commit, batch)
        if then.text(loss.raw.pointer) == text:
            return bool(losses(then, old, [loss.raw.pointer]))
    return False


def _finding(loss: Loss, step: Step, span: Span) -> Finding:
    raw = loss.raw
    where = INDEX if step.new == INDEX else span.name if step.rewritten else step.new[:10]
    recorded_in = step.old[:10]
    if step.rewritten and loss.how == "dropped":
        remedy = f"git branch rescued {recorded_in}, then merge it"
    else:
        remedy = way_back(raw, recorded_in)
    return Finding(
        str(raw.path),
        loss.how,
        where,
        raw.md5,
        loss.now.md5 if loss.now else None,
        recorded_in,
        remedy,
        on_purpose(raw, loss),
    )


def way_back(raw: Raw, revision: str) -> str:
    """Return the command that puts raw data back as a revision records it."""
    return f"git checkout {revision} -- {raw.pointer} {sidecar_path(raw.path)} && dvc checkout --force {raw.path}"


def on_purpose(raw: Raw, loss: Loss) -> str:
    """Return the command that gives the reason for a loss."""
    if loss.how == "made editable":
        return f'emdvc add {raw.path} --edited --replace "why"'
    if loss.how == "changed":
        return f'emdvc add {raw.path} --replace "why"'
    return f'emdvc remove {raw.path} --reason "why"'
