"""What a word on the command line means: a revision, or a path."""

from __future__ import annotations

from emdvc.errors import UsageError
from emdvc.history import git
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path


def range_of(word: str, project: Project) -> tuple[str, str] | None:
    """Return the two revisions of ``A..B``; None for a word that is no range.

    As in git an empty side means HEAD, and ``A...B`` compares B with the last commit that both have in common.

    Raises
    ------
    UsageError
        There is no such revision; the two have nothing in common.
    """
    before, dots, after = word.partition("...") if "..." in word else word.partition("..")
    before, after = before or "HEAD", after or "HEAD"
    if not dots:
        return None
    return git.merge_base(before, after, project.git_root) if dots == "..." else before, after


def is_revision(word: str, project: Project) -> bool:
    """Say whether a word names a revision rather than a path.

    Raises
    ------
    UsageError
        It could be both, or is neither.
    """
    try:
        git.resolve(word, project.git_root)
        revision, unknown = True, None
    except UsageError as error:
        revision, unknown = False, error
    path = is_path(word, project)
    if revision and path:
        raise UsageError(
            f"'{word}' is both a revision and a path",
            evidence="what was meant cannot be told",
            hint=f"emdvc diff {word} -- for the revision, emdvc diff -- {word} for the path",
        )
    if unknown is not None and not path:
        raise unknown
    return revision


def is_path(word: str, project: Project) -> bool:
    """Say whether a word names a dataset, its sidecar, its ``.dvc`` file or a folder, here or in the last commit."""
    try:
        path = project.relative(word)
    except UsageError:
        return False
    data = project.path(data_path(path))
    pointers = (data.with_name(data.name + ".dvc"), project.path(sidecar_path(data_path(path))))
    if project.path(path).exists() or any(pointer.exists() for pointer in pointers if data.name):
        return True
    if git.head(project.git_root) is None:
        return False
    with Snapshot(project, "HEAD") as last:
        return any(known in (path, data_path(path)) or known.is_relative_to(path) for known in last.datasets())
