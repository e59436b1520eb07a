"""The raw data that lies in the workspace: what was recorded, read-only, and apart from the cache, or it is said."""

from __future__ import annotations

from emdvc.history.project import Project
from emdvc.history.raw.checking import Finding, RawCheck
from emdvc.history.raw.files import recorded_here, settle
from emdvc.history.raw.pointers import WORKSPACE


def check_here(project: Project, answer: RawCheck) -> None:
    """Compare the raw data of the workspace with what its pointers record, and mend what can be mended.

    Parameters
    ----------
    answer
        Gets what was found.
    """
    from emdvc.history.status import status

    seen = status(project, ask_remote=False)
    recorded = {str(raw.path.relative_to(project.prefix)): raw for raw in recorded_here(project)}
    for problem in seen.raw_problems:
        raw = recorded.get(problem.path)
        answer.findings.append(
            Finding(
                problem.path,
                str(problem.how),
                WORKSPACE,
                raw.md5 if raw else "",
                None,
                None,
                f"dvc checkout --force {problem.path}",
                f'emdvc add {problem.path} --replace "why"',
            )
        )
    answer.compared.append(WORKSPACE)
    answer.absent = tuple(path for path in seen.absent if path in recorded)
    in_part = [str(part.path) for part in seen.parts]
    mended, apart = settle(project, [*(problem.path for problem in seen.raw_problems), *in_part])
    answer.mended, answer.separated = tuple(mended), tuple(apart)
