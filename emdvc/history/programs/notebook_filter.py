"""What lets git keep notebooks without outputs: a clean filter of this clone, and attributes that travel.

Git asks ``filter.emdvc-notebook.clean`` for what it keeps of a file whose attribute ``filter`` is ``emdvc-notebook``:
the notebooks of the folders in which stages have one, never the executed copies. The filter is not required: a clone
without emdvc keeps notebooks as they are.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path, PurePosixPath

import emdvc
from emdvc.formats.sidecar import write_text
from emdvc.history import git
from emdvc.history.project import Project, shown

#: Name of the filter, in git's settings and in attributes.
FILTER = "emdvc-notebook"
_SETTING = f"filter.{FILTER}.clean"
_SCRIPT = "notebook"
#: Git's setting. Where the script is missing (a clone copied by hand) the file goes through as it is.
_COMMAND = (
    'emdvc_clean() { emdvc_dir="$(git rev-parse --git-common-dir)/emdvc"; '
    f'if [ -r "$emdvc_dir/{_SCRIPT}" ]; then . "$emdvc_dir/{_SCRIPT}"; else cat; fi; }}; emdvc_clean'
)
_TEXT = """\
# Written by `emdvc git install`, taken back by `emdvc git uninstall`. Git gives it a notebook and keeps what comes out:
# the notebook without outputs, or as it is where emdvc is not to be found.
emdvc_python={python}
emdvc_package={package}
if command -v emdvc >/dev/null; then emdvc git strip
elif [ -x "$emdvc_python" ] && [ -f "$emdvc_package" ]; then "$emdvc_python" -P -m emdvc git strip
else cat; fi
"""


def attribute_line(folder: PurePosixPath) -> str:
    """Return the line of .gitattributes for the notebooks of a folder; line ends are part of what DVC hashes."""
    place = "" if folder == PurePosixPath() else f"/{folder}"
    return (
        f'"{place}/*.ipynb" text eol=lf filter={FILTER}'
        if " " in place
        else f"{place}/*.ipynb text eol=lf filter={FILTER}"
    )


def lacking_attributes(project: Project, notebooks: list[PurePosixPath]) -> list[str]:
    """Return the lines that .gitattributes lacks for notebooks of the project."""
    if not notebooks:
        return []
    names = [project.in_git(path) for path in notebooks]
    said = git.run(["check-attr", "-z", "filter", "--", *names], project.git_root).stdout
    parts = os.fsdecode(said).split("\0")
    have = {parts[at] for at in range(0, len(parts) - 2, 3) if parts[at + 2] == FILTER}
    without = [path for path, name in zip(notebooks, names, strict=True) if name not in have]
    return list(dict.fromkeys(attribute_line(path.parent) for path in without))


def add_attributes(project: Project, lines: list[str]) -> None:
    """Write lines at the end of .gitattributes."""
    path = project.root / ".gitattributes"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    start = text if not text or text.endswith("\n") else text + "\n"
    write_text(path, start + "".join(f"{line}\n" for line in lines))


def wanted(project: Project) -> bool:
    """Say whether the project's attributes speak of the filter."""
    path = project.root / ".gitattributes"
    return path.is_file() and f"filter={FILTER}" in path.read_text(encoding="utf-8", errors="replace")


def installed(project: Project) -> bool:
    """Say whether git keeps notebooks without outputs in this clone."""
    return wanted(project) and git.config(_SETTING, project.git_root) is not None


def lacking(project: Project, git_dir: Path) -> list[str]:
    """Return what this clone lacks for the filter that the attributes speak of, in words."""
    if not wanted(project):
        return []
    found = [] if git.config(_SETTING, project.git_root) else [f"setting {_SETTING}"]
    script = git_dir / "emdvc" / _SCRIPT
    return found if script.is_file() else [*found, f"script {script}"]


def install_clone(project: Project, git_dir: Path, *, dry_run: bool = False) -> list[str]:
    """Write the setting and the script of this clone where the attributes speak of the filter; return what was made."""
    if not wanted(project):
        return []
    made = []
    if git.config(_SETTING, project.git_root) is None:
        if not dry_run:
            git.set_config(_SETTING, _COMMAND, project.git_root)
        made.append(f"setting {_SETTING}")
    script = git_dir / "emdvc" / _SCRIPT
    package = Path(emdvc.__file__).resolve().parent / "__main__.py"
    python = Path(sys.executable).as_posix() if sys.executable else ""
    text = _TEXT.format(python=shlex.quote(python), package=shlex.quote(package.as_posix()))
    if not script.is_file():
        if not dry_run:
            script.parent.mkdir(exist_ok=True)
            write_text(script, text)
        made.append(f"script {shown(script)}")
    return made


def uninstall(project: Project, git_dir: Path, *, dry_run: bool = False) -> list[str]:
    """Take the setting and the script back; return what was removed."""
    removed = []
    if git.config(_SETTING, project.git_root) == _COMMAND:
        if not dry_run:
            git.run(["config", "--local", "--remove-section", f"filter.{FILTER}"], project.git_root, accept=(0, 128))
        removed.append(f"setting {_SETTING}")
    script = git_dir / "emdvc" / _SCRIPT
    if script.is_file():
        if not dry_run:
            script.unlink()
        removed.append(f"script {shown(script)}")
    return removed
