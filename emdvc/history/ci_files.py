"""Workflow files for the machines of a forge, written from templates that are yours to change afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from emdvc.errors import ConflictError, UsageError, suggest
from emdvc.formats.sidecar import write_text
from emdvc.history.project import Project


@dataclass(frozen=True, slots=True)
class Workflow:
    """A forge's file.

    Parameters
    ----------
    template
        Its name in ``emdvc/ci``.
    path
        Where the forge looks for it, from the root of the git repository.
    folder
        The line of the template that names the folder of the project, without the name.
    """

    template: str
    path: str
    folder: str


#: Forge -> its file.
WORKFLOWS: Mapping[str, Workflow] = {
    "github": Workflow("github.yml", ".github/workflows/emdvc.yml", "working-directory: "),
    "gitlab": Workflow("gitlab.yml", ".gitlab-ci.yml", "PROJECT: "),
}


def chosen(forge: str) -> Workflow:
    """Return a forge's file by the forge's name.

    Raises
    ------
    UsageError
        There is none for that forge.
    """
    if forge in WORKFLOWS:
        return WORKFLOWS[forge]
    near = suggest(forge.lower(), list(WORKFLOWS))
    raise UsageError(
        f"there is no workflow file for '{forge}'",
        evidence=f"there are some for {', '.join(WORKFLOWS)}",
        hint=f"emdvc init --ci {near or 'github'}",
    )


def text_of(workflow: Workflow, project: Project) -> str:
    """Return the content of a forge's file for a project."""
    text = (resources.files("emdvc") / "ci" / workflow.template).read_text(encoding="utf-8")
    if project.root == project.git_root:
        return text
    quote = '"' if f'{workflow.folder}"."' in text else ""
    line = f"{workflow.folder}{quote}.{quote}"
    assert text.count(f"{line}\n") == 1, line
    return text.replace(f"{line}\n", f'{workflow.folder}"{project.prefix}"\n')


def refuse_other(workflow: Workflow, project: Project) -> None:
    """Raise where the forge's file is there with another content: it is never written over.

    Raises
    ------
    ConflictError
        There is such a file.
    """
    path = project.git_root / workflow.path
    if path.exists() and not _same(path, text_of(workflow, project)):
        raise ConflictError(
            f"{workflow.path} exists",
            evidence="it is not what emdvc would write, and stays as it is",
            hint=f"put the jobs of {template_path(workflow)} into it by hand",
        )


def write(workflow: Workflow, project: Project) -> bool:
    """Write a forge's file where there is none; return whether it was written.

    Raises
    ------
    ConflictError
        There is one with another content.
    """
    refuse_other(workflow, project)
    path = project.git_root / workflow.path
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text_of(workflow, project))
    return True


def template_path(workflow: Workflow) -> str:
    """Return where the template lies on this machine."""
    return str(resources.files("emdvc") / "ci" / workflow.template)


def _same(path: Path, text: str) -> bool:
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n") == text
    except UnicodeDecodeError:
        return False
