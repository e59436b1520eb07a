"""Making a folder a project, or completing one: git, DVC, settings that cannot corrupt data, folders, attributes.

Every part is made only where it lacks; lines and settings that are there stay as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from emdvc.errors import UsageError
from emdvc.formats.sidecar import write_text
from emdvc.history import attributes, ci_files, dvc, dvc_settings, git
from emdvc.history.merging.drivers import install as merging
from emdvc.history.project import Project, git_root_of, shown
from emdvc.history.remotes import adding as remotes
from emdvc.history.remotes.url import RemoteUrl
from emdvc.history.textconv import install as git_install

#: DVC's settings of every project. Hard links and symbolic links are left out: a program that writes in place through
#: one changes the cache, and with it every other copy. The number of checksum threads is fixed, so that it is the same
#: wherever the project is cloned.
SETTINGS: dict[str, dict[str, str]] = {
    "core": {"autostage": "true", "analytics": "false", "check_update": "false", "checksum_jobs": "4"},
    "cache": {"type": "reflink,copy"},
}

#: File -> lines that it must have.
LINES: dict[str, tuple[str, ...]] = {
    ".dvcignore": ("*.partial",),
    ".gitignore": ("*.partial",),
    ".gitattributes": (
        *git_install.ATTRIBUTES,
        "*.dvc text eol=lf",
        "dvc.lock text eol=lf",
        "dvc.yaml text eol=lf",
        "params.yaml text eol=lf",
        ".emdvc/*.yaml text eol=lf",
        "*.png binary",
        *(f"{pattern} {merging.ATTRIBUTE}" for pattern in merging.PATTERNS),
    ),
    ".dvc/.gitignore": ("/config.local", "/tmp", "/cache"),
}

#: File -> text that it is made with.
TEXTS: dict[str, str] = {
    "raw/README.md": (
        "What instruments wrote, byte for byte. Files get here by `emdvc add FILE`, are read-only, and never change.\n"
        "Beside each lies its sidecar `FILE.em.yaml`: there the metadata is completed and calibrations are corrected.\n"
    ),
    "results/README.md": (
        "What stages computed from raw/. Everything here can be made again by `dvc repro`; nothing is edited by hand.\n"
    ),
    "scripts/README.md": (
        "Your own processing: scripts and notebooks that stages of dvc.yaml run. They are kept by git.\n"
    ),
    "params.yaml": (
        "# Parameters of the stages, under each stage's name; with units, as in 20px, 10mrad, 0.5/angstrom.\n"
        "# `emdvc stage add` writes here, and so may you: `dvc repro` then runs what depends on it.\n"
    ),
    ".emdvc/config.yaml": "# Settings of emdvc in this project.\nversion: 1\n",
    ".emdvc/steps.yaml": (
        "# Versions of the steps that the stages were made with; a newer version reruns a stage.\n"
        "# Written by `emdvc stage add` and `emdvc stage update`.\n"
    ),
}


@dataclass(slots=True)
class Report:
    """What was made, and what was there already.

    Parameters
    ----------
    project
        The project.
    made, kept
        Parts of it, in words a person understands.
    notes
        What a person should know, such as a setting that differs from the usual one.
    """

    project: Project
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def initialise(folder: Path, remote: str | None = None, ci: str | None = None) -> Report:
    """Make a folder a project, or complete one.

    Parameters
    ----------
    folder
        Made when it does not exist.
    remote
        ``NAME=URL`` of the default remote for data.
    ci
        Forge whose workflow file is written: ``github`` or ``gitlab``.

    Raises
    ------
    UsageError
        The folder lies inside another project, or the remote or the forge is none that can be used.
    ConflictError
        A remote with that name has another URL, or the workflow file is there with another content.
    EnvironmentFault
        Git is missing; a package for this kind of remote is missing.
    """
    root = Path(os.path.abspath(folder))  # noqa: PTH100
    _refuse(root)
    wanted = remotes.plan(root, RemoteUrl.parse(remote, root)) if remote is not None else None
    workflow = ci_files.chosen(ci) if ci is not None else None
    if workflow is not None:
        ci_files.refuse_other(workflow, Project(root, git_root_of(root) or root))
    root.mkdir(parents=True, exist_ok=True)
    report = Report(Project(root, root))
    _repositories(report)
    _settings(report)
    files = [*_lines(report), *_texts(report)]
    if wanted is not None:
        written = remotes.apply(report.project, wanted)
        (report.made if written.changes else report.kept).append(f"remote {wanted.remote.name}")
        report.notes += written.notes
    configured = configure_clone(report.project).made
    (report.made if configured else report.kept).append("git diff of metadata and chunks")
    paths = [report.project.in_git(file) for file in [*files, ".dvc/config"]]
    if workflow is not None:
        made = ci_files.write(workflow, report.project)
        (report.made if made else report.kept).append(workflow.path)
        paths += [workflow.path] if made else []
    git.add(paths, report.project.git_root)
    return report


def configure_clone(project: Project) -> git_install.Changes:
    """Write git's settings that a clone does not bring along: git then shows sidecars and pointers as text."""
    return git_install.install_clone(project)


def _refuse(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise UsageError(f"{shown(root)} is a file", hint="name a folder")
    above = next((folder for folder in root.parents if (folder / ".dvc").is_dir()), None)
    if above is not None and not (root / ".dvc").is_dir():
        raise UsageError(
            f"{root} lies inside another project", evidence=f"that one is {above}", hint=f"emdvc init {above}"
        )


def _repositories(report: Report) -> None:
    root = report.project.root
    git_root = git_root_of(root)
    if git_root is None:
        branch = [] if git.config("init.defaultBranch", root) else ["--initial-branch=main"]
        git.run(["init", "--quiet", *branch], root)
        git_root = root
        report.made.append("git repository")
    else:
        report.kept.append("git repository" if git_root == root else f"git repository {shown(git_root)}")
    report.project = Project(root, git_root)
    if (root / ".dvc").is_dir():
        report.kept.append("DVC")
    else:
        dvc.initialise(root, subdir=git_root != root)
        report.made.append("DVC")


def _settings(report: Report) -> None:
    root = report.project.root
    have = dvc_settings.project_settings(root)
    made = dvc_settings.complete_settings(root, SETTINGS)
    report.made += [f"setting {name.replace(chr(34), '')}" for name in made]
    for section, values in SETTINGS.items():
        for key, value in values.items():
            found = have.get(section, {}).get(key)
            if found not in (None, value):
                report.notes.append(f"{section}.{key} stays {found} (emdvc sets {value})")
    if not made:
        report.kept.append("settings")


def _lines(report: Report) -> list[str]:
    files = []
    for name in LINES:
        path = report.project.root / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lacking = lines_lacking(name, text)
        if lacking:
            start = text if not text or text.endswith("\n") else text + "\n"
            plain = [line for line in lacking if not line.endswith(f" {merging.ATTRIBUTE}")]
            whole = start + "".join(f"{line}\n" for line in plain)
            drivers = [line.split()[0] for line in lacking if line not in plain]
            write_text(path, attributes.completed(whole, drivers, merging.ATTRIBUTE) if drivers else whole)
            files.append(name)
        (report.made if lacking else report.kept).append(f"{name}{' (completed)' if text and lacking else ''}")
    return files


def lines_lacking(name: str, text: str) -> list[str]:
    """Return those of the :data:`LINES` that a file lacks; attributes may stand in one line or in several."""
    have = {line.strip() for line in text.splitlines()}
    by_pattern = name == ".gitattributes"
    return [line for line in LINES[name] if line not in have and not (by_pattern and attributes.has(text, line))]


def _texts(report: Report) -> list[str]:
    files = []
    for name, text in TEXTS.items():
        path = report.project.root / name
        if path.exists():
            report.kept.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        files.append(name)
        report.made.append(name)
    return files
