"""``emdvc doctor``: checks of the set-up, each with its remedy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from emdvc.errors import EmdvcError
from emdvc.formats import registry
from emdvc.history import doctor_project, git
from emdvc.history.finding import Finding
from emdvc.history.project import Project


def examine(project: Project | None, *, ask_remote: bool = True) -> Iterator[Finding]:
    """Yield the findings, one check after the other.

    Parameters
    ----------
    project
        None outside a project: then only the machine is looked at.
    ask_remote
        Whether to ask the remote.
    """
    folder = project.root if project else None
    yield from _each(_git, _git_identity, _program, _dvc_version, _processors, _readers)
    if project is None:
        yield Finding("project", "warn", "this is not an emdvc project", "emdvc init")
        return
    assert folder is not None
    yield _disk(project)
    for check in doctor_project.CHECKS if ask_remote else doctor_project.CHECKS_WITHOUT_REMOTE:
        try:
            yield from (Finding(*found) for found in check(project))
        except EmdvcError as error:  # a damaged project is what a doctor is called for
            text = error.cause + (f": {error.evidence}" if error.evidence else "")
            yield Finding(check.__name__.strip("_").replace("_", " "), "fail", text, error.hint)


def _each(*checks: Callable[[], Finding]) -> Iterator[Finding]:
    for check in checks:
        yield check()


def _git() -> Finding:
    program = shutil.which("git")
    if program is None:
        return Finding("git", "fail", "git is not installed", "https://git-scm.com/downloads")
    import subprocess

    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    words = said.split()
    version = tuple(int(part) for part in words[2].split(".")[:2] if part.isdigit()) if len(words) > 2 else ()
    if version and version < (2, 25):
        return Finding("git", "fail", f"{said} is too old: emdvc needs 2.25", "https://git-scm.com/downloads")
    return Finding("git", "ok", said)


def _git_identity() -> Finding:
    from pathlib import Path

    try:
        said = git.git(["var", "GIT_AUTHOR_IDENT"], Path.cwd())
    except EmdvcError:
        return Finding(
            "git identity",
            "fail",
            "git does not know who you are: nothing can be committed",
            'git config --global user.name "Your Name" && git config --global user.email you@example.org',
        )
    return Finding("git identity", "ok", said.rsplit(" ", 2)[0])


def _program() -> Finding:
    if shutil.which("emdvc") is None:
        remedy = "activate the environment that emdvc is installed in"
        return Finding("emdvc", "fail", "`emdvc` is not on PATH: `dvc repro` cannot call it", remedy)
    return Finding("emdvc", "ok", "on PATH")


def _dvc_version() -> Finding:
    from importlib.metadata import version

    found = version("dvc")
    supported = found.split(".")[:2] == ["3", "67"]
    return Finding(
        "dvc",
        "ok" if supported else "warn",
        f"dvc {found}" + ("" if supported else ": emdvc was tested with 3.67"),
        None if supported else "pip install 'dvc>=3.67,<3.68'",
    )


def _processors() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("EMDVC_THREADS")
    if threads and not (threads.isdigit() and int(threads) > 0):
        return Finding("processors", "fail", f"EMDVC_THREADS is '{threads}', no whole number", "unset EMDVC_THREADS")
    return Finding("processors", "ok", f"{usable} usable" + (f", EMDVC_THREADS={threads}" if threads else ""))


def _readers() -> Finding:
    absent = sorted({info.name for info in registry.readers() if not info.installed})
    if absent:
        shown = ", ".join(absent[:6]) + (", ..." if len(absent) > 6 else "")
        return Finding("readers", "warn", f"not installed: {shown}", "pip install 'emdvc[formats]'")
    return Finding("readers", "ok", f"all {len(registry.readers())} readers are installed")


def _disk(project: Project) -> Finding:
    free = shutil.disk_usage(project.root).free
    text = f"{free / 1e9:.1f} GB free"
    # an added scan lies on the disk twice: in the workspace and in the cache
    return Finding("disk", "ok" if free > 5e9 else "warn", text, None if free > 5e9 else "emdvc gc")
