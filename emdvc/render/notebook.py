"""``emdvc.diff``: a difference as a value, which shows itself in a notebook."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from emdvc.compare.numbers.values import Tolerance
from emdvc.compare.project import Asked, ProjectDifference, compare_datasets, compare_revisions
from emdvc.history.project import Project


@dataclass(frozen=True)
class Difference(ProjectDifference):
    """What differs; false when nothing does. In a notebook it is shown with its pictures."""

    def __str__(self) -> str:
        """Return the difference as ``emdvc diff`` prints it."""
        from emdvc.render.difference.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from emdvc.render.difference.page import as_html

        # a document of its own: neither its style nor the notebook's reaches the other
        page = html.escape(as_html(self), quote=True)
        style = "width: 100%; height: 40em; border: 1px solid #8886; border-radius: 4px"
        return f'<iframe title="Difference" srcdoc="{page}" style="{style}"></iframe>'


def diff(
    before: str | os.PathLike[str] = "HEAD",
    after: str | os.PathLike[str] | None = None,
    paths: Sequence[str | os.PathLike[str]] = (),
    *,
    project: str | os.PathLike[str] | None = None,
    repo: str | None = None,
    values: bool = True,
    rtol: float = 0.0,
    atol: float = 0.0,
    ulp: int = 0,
    max_report: int | None = None,
) -> Difference:
    """Compare two revisions of a project, or two datasets, as science.

    Parameters
    ----------
    before, after
        Names of commits, None for the workspace; or two datasets, each ``PATH`` or ``PATH@REV``.
    paths
        Datasets or folders that are compared; all by default.
    project
        A folder of the project; by default the one that the current folder belongs to.
    repo
        Folder or URL of another repository that `before` is taken from.
    values
        Whether the numbers that may differ are read; else the sidecars alone are compared.
    rtol, atol, ulp
        What is tolerated: ``|after - before| <= atol + rtol * |before|``, or as many floating-point numbers apart.
    max_report
        Probe positions that differ after which an array is not read any further.

    Returns
    -------
    Difference
        Frozen values: ``.verdict``, ``.datasets`` (each with ``.record``, ``.axes``, ``.values``, ``.causes`` ...),
        ``.to_dict()`` as ``emdvc diff --json`` prints it; true when something differs.

    Raises
    ------
    UsageError, DataMissingError, ProjectError
        No such revision; no such dataset; no project.

    Examples
    --------
    >>> import emdvc
    >>> found = emdvc.diff("HEAD~1", "HEAD")  # doctest: +SKIP
    >>> found.verdict, [d.path for d in found.datasets]  # doctest: +SKIP
    """
    asked = Asked.to_show(values=values, drawn=True, tolerance=Tolerance(rtol, atol, ulp), max_report=max_report)
    if after is not None and repo is None and _is_dataset(before) and _is_dataset(after):
        return _shown(compare_datasets(os.fspath(before), os.fspath(after), asked=asked))
    here = Project.find(Path(project) if project is not None else None)
    chosen = [here.relative(Path(path)) for path in paths]
    revisions = os.fspath(before), None if after is None else os.fspath(after)
    if repo is None:
        return _shown(compare_revisions(here, *revisions, chosen, asked=asked))
    from emdvc.history.elsewhere import elsewhere

    with elsewhere(repo) as other:
        return _shown(compare_revisions(here, *revisions, chosen, asked=asked, other=other))


def _is_dataset(what: str | os.PathLike[str]) -> bool:
    from emdvc.compare.state import recorded
    from emdvc.history.snapshot import split_revision

    path, revision = split_revision(os.fspath(what))
    return revision is not None or Path(path.split("::")[0]).exists() or recorded(Path(path)) is not None


def _shown(found: ProjectDifference) -> Difference:
    return Difference(**{field.name: getattr(found, field.name) for field in fields(found)})
