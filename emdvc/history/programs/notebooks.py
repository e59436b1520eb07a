"""The notebooks that stages run: where they are, which hold outputs, and taking the outputs out of the workspace.

DVC hashes the file of the workspace, and git keeps the stripped one. Both must be the same file, or every clone would
run the stage again: so whatever runs, saves or reproduces strips the file itself, and keeps a copy of what was in it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import FormatError
from emdvc.formats.sidecar import write_text
from emdvc.history import git
from emdvc.history.programs import notebook_filter
from emdvc.history.programs.notebook_text import holds_outputs, strip
from emdvc.history.project import Project, shown

#: The command that a notebook's stage calls.
COMMAND = "run-notebook"


@dataclass(frozen=True, slots=True)
class Stripped:
    """A notebook whose outputs were taken out of the file of the workspace.

    Parameters
    ----------
    path
        The notebook, relative to the project.
    kept
        Where the file lies as it was; None where it held no outputs, only their traces.
    """

    path: PurePosixPath
    kept: Path | None

    def __str__(self) -> str:
        """Return what a person is told."""
        return f"the outputs in {self.path} were taken out of it; as it was: {self.kept and shown(self.kept)}"


@dataclass(frozen=True, slots=True)
class Outputs:
    """A notebook that holds outputs in the workspace.

    Parameters
    ----------
    path
        Relative to the project.
    filtered
        Whether git keeps it without them in this clone.
    """

    path: PurePosixPath
    filtered: bool


def tracked(project: Project, stages: dict[str, dict[str, Any]]) -> list[PurePosixPath]:
    """Return the notebooks that stages run, relative to the folder of the pipeline."""
    found = (notebook_of(stage.get("cmd")) for stage in stages.values())
    return list(dict.fromkeys(path for path in found if path is not None and project.path(path).is_file()))


def all_tracked(project: Project, *, everywhere: bool = False) -> list[tuple[Project, PurePosixPath]]:
    """Return the notebooks that the stages of a project run, each with the folder of its pipeline.

    Parameters
    ----------
    everywhere
        Whether to look also where neither the attributes nor the project's own dvc.yaml speak of notebooks.
    """
    if not (everywhere or notebook_filter.wanted(project) or _speaks_of_one(project.root / "dvc.yaml")):
        return []
    from emdvc.history import yaml_files
    from emdvc.history.snapshot import Snapshot

    found = []
    with Snapshot(project) as snapshot:
        files = [file for file in snapshot.files() if file.name == "dvc.yaml"]
    for file in files:
        path = project.path(file)
        if _speaks_of_one(path):  # most pipelines run no notebook, and are not parsed for it
            here = Project(path.parent, project.git_root)
            stages = yaml_files.read(path).get("stages") or {}
            found += [(here, notebook) for notebook in tracked(here, stages)]
    return found


def _speaks_of_one(path: Path) -> bool:
    return path.is_file() and COMMAND in path.read_text(encoding="utf-8", errors="replace")


def notebook_of(cmd: Any) -> PurePosixPath | None:
    """Return the notebook that a stage's command runs; None of any other command."""
    for line in cmd if isinstance(cmd, list) else [cmd]:
        try:
            words = shlex.split(str(line))
        except ValueError:
            continue
        for index, word in enumerate(words[:-2]):
            program = PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")
            if program == "emdvc" and words[index + 1] == COMMAND:
                return next((PurePosixPath(one) for one in words[index + 2 :] if one.endswith(".ipynb")), None)
    return None


def with_outputs(project: Project) -> list[Outputs]:
    """Return the notebooks of stages that hold outputs in the workspace."""
    filtered = notebook_filter.installed(project)
    return [
        Outputs(project.relative(here.path(path)), filtered)
        for here, path in all_tracked(project)
        if holds_outputs(here.path(path).read_text(encoding="utf-8", errors="replace"))
    ]


def lacking_attributes(project: Project) -> list[str]:
    """Return the lines that .gitattributes lacks, so that git keeps the notebooks of stages without outputs."""
    paths = [project.relative(here.path(path)) for here, path in all_tracked(project, everywhere=True)]
    return notebook_filter.lacking_attributes(project, paths)


def strip_all(project: Project) -> list[Stripped]:
    """Strip every notebook that a stage runs, in the workspace, and return those that were not stripped before."""
    found = (strip_file(project, here.path(path)) for here, path in all_tracked(project))
    return [one for one in found if one is not None]


def stripped_lines(project: Project, *, dry_run: bool) -> list[str]:
    """Strip every notebook that a stage runs, and return what a person is told of it; with `dry_run` only that."""
    if dry_run:
        return [f"would take the outputs out of {one.path}" for one in with_outputs(project)]
    return [str(one) for one in strip_all(project) if one.kept is not None]


def strip_file(project: Project, path: Path) -> Stripped | None:
    """Strip one notebook in the workspace; None where there was nothing to do, or it is no notebook.

    A file with outputs is copied into DVC's temporary folder first, which git ignores.
    """
    whole = path.read_bytes()
    try:
        text = whole.decode("utf-8")
        bare = strip(text, path.name)
    except (FormatError, UnicodeDecodeError):  # half merged, say: not ours to complain about
        return None
    if bare == text:
        return None
    outer = Project.find(project.root)
    name = outer.relative(path)
    kept = None
    if holds_outputs(text):
        kept = outer.journal_dir / "notebooks" / "seen" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(whole)
    write_text(path, bare)
    _known_to_git(outer, name)
    return Stripped(name, kept)


def _known_to_git(project: Project, path: PurePosixPath) -> None:
    """Let git see that a file whose size changed holds what its index holds: it compares sizes first."""
    name = project.in_git(path)
    entry = git.git(["ls-files", "-s", "--", f":(top,literal){name}"], project.git_root).split()
    if entry and entry[1] == git.git(["hash-object", f"--path={name}", "--", name], project.git_root):
        git.add([name], project.git_root)
