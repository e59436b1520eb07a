"""What goes along with data: who computed the results and whether they were verified, noted in git."""

from __future__ import annotations

from emdvc.errors import EmdvcError
from emdvc.history import git, notes, run_records
from emdvc.history.project import Project


def share_notes(project: Project) -> list[str]:
    """Attach the records of runs to the commit that holds their results, and push them where there is a git remote.

    Returns
    -------
    Why something of it was not possible: it is never worth a failure.
    """
    said = []
    root = project.git_root
    try:
        run_records.attach(project)
        upstream = git.upstream(root)
        remote = upstream.partition("/")[0] if upstream else "origin"
        refused = notes.share(root, remote) if remote in git.remotes(root) else None
    except EmdvcError as error:
        refused = error.evidence or error.cause
    if refused is not None:
        said.append(f"what is noted of the commits was not pushed: {refused}")
    return said
