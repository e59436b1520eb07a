"""Git's own merge, tried in a temporary worktree with emdvc's drivers: the workspace is not touched.

The drivers are those of this emdvc, whatever the clone has installed. What comes of it is read from the worktree: the
merge commit, or git's index with the sides of the files in conflict, the files with their markers, and git's own files
about the merge.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history import cache_place, git, git_undo
from emdvc.history.git_program import maybe
from emdvc.history.journal import Journal
from emdvc.history.merging.drivers.install import ATTRIBUTE, PATTERNS
from emdvc.history.merging.drivers.sides import NOTES
from emdvc.history.merging.joining.branches import Sides
from emdvc.history.project import Project
from emdvc.history.recorded import recorded
from emdvc.history.snapshot import Snapshot

#: Git's files about a merge that met conflicts.
STATE_FILES = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "MERGE_RR")
#: Hooks that belong to the commit of a merge. The others belong to the workspace.
_HOOKS = ("pre-merge-commit", "prepare-commit-msg", "commit-msg")
_SUBMODULE = "160000"
_GONE = "000000"


@dataclass(frozen=True, slots=True)
class Told:
    """What a merge driver said of one file.

    Parameters
    ----------
    path
        Relative to the git root.
    notes
        Sentences.
    repro
        Stages to compute again.
    conflicts
        What is asked: ``key``, ``base``, ``ours``, ``theirs``, ``why``.
    """

    path: str
    notes: tuple[str, ...] = ()
    repro: tuple[str, ...] = ()
    conflicts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the merge.

    Parameters
    ----------
    project
        The project as it lies in the worktree.
    commit
        The merge commit, or that of theirs where nothing had to be merged; None with conflicts, and in a dry run.
    changed
        Every path (relative to the git root) that differs from ours -> its mode in git: empty where it goes.
    entries
        The same paths -> their lines of git's index (three sides of one in conflict).
    unmerged
        The paths in conflict.
    beside
        Conflict files and pictures that the drivers wrote.
    told
        What the drivers said.
    complaints
        Why a driver could not do its work: the file was then merged line by line.
    """

    project: Project
    commit: str | None
    changed: dict[str, str]
    entries: dict[str, list[str]]
    unmerged: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    complaints: tuple[str, ...] = ()

    @property
    def files(self) -> list[str]:
        """The paths whose files change in the workspace: submodules are left as they are."""
        return [path for path, mode in self.changed.items() if mode != _SUBMODULE] + list(self.beside)


@contextmanager
def worktree(project: Project, journal: Journal, commit: str) -> Iterator[Project]:
    """Have a commit in a temporary worktree that shares cache and remotes with the project.

    Parameters
    ----------
    journal
        Notes the worktree, so that it goes also after a kill.
    commit
        What is checked out there.

    Raises
    ------
    EnvironmentFault
        Git refused; the disk is full.
    """
    root = project.git_root
    folder = project.journal_dir / f"emdvc-merge-{uuid.uuid4().hex}"
    journal.will_add_worktree(folder)
    try:
        quiet = ["-c", "core.hooksPath=", "-c", "submodule.recurse=false"]
        git.run([*quiet, "worktree", "add", "--quiet", "--detach", str(folder), commit], root)
        found = Project(folder / project.prefix, folder)
        _settings(project, found)
        yield found
    finally:
        git_undo.remove_worktree(folder, root)


def forward(project: Project, sides: Sides, there: Project) -> Outcome:
    """Return what comes of a merge where nothing was committed here: theirs, as it is."""
    changed, entries = _differences(there, sides.ours)
    return Outcome(there, sides.theirs, changed, entries)


def merge(project: Project, sides: Sides, there: Project, message: str, *, commit: bool) -> Outcome:
    """Merge in a worktree that has ours.

    Parameters
    ----------
    there
        The project in the worktree.
    message
        Of the merge commit.
    commit
        Whether to commit a merge without conflicts, with the hooks of the clone.

    Raises
    ------
    EnvironmentFault
        Git could not merge; a hook refused the commit.
    """
    folder = there.git_root
    said = git_undo.git_path("emdvc-told.jsonl", folder)
    settings = [*_drivers(), *_attributes(project, sides, folder), *_hooks(project, folder)]
    options = ["--ff", "--no-stat", "--no-edit", *([] if commit else ["--no-commit"]), "-m", message]
    env = {**sides.for_drivers(), NOTES: str(said)}
    done = git.run([*settings, "merge", *options, _typed(sides, folder)], folder, accept=(0, 1, 2, 128), env=env)
    unmerged = tuple(dict.fromkeys(git.git(["diff", "--name-only", "-z", "--diff-filter=U"], folder).split("\0")[:-1]))
    if done.returncode != 0 and not unmerged:
        raise _refused(done.returncode, done.stdout, done.stderr)
    made = git.git(["rev-parse", "HEAD"], folder) if commit and not unmerged else None
    changed, entries = _differences(there, sides.ours)
    return Outcome(there, made, changed, entries, unmerged, _beside(folder), _told(said), _complaints(done.stderr))


def _settings(project: Project, there: Project) -> None:
    """Let DVC's settings of the worktree name the cache and the remotes of the project."""
    from emdvc.history.settings_file import SettingsFile

    there.dvc_dir.mkdir(parents=True, exist_ok=True)
    for name in ("config", "config.local"):
        source = project.dvc_dir / name
        # what lies in the workspace holds, also where it is not committed; git compares its index alone below
        if source.is_file() and not (there.dvc_dir / name).exists():
            shutil.copyfile(source, there.dvc_dir / name)
    local = SettingsFile(there.dvc_dir / "config.local")
    for file, content in cache_place.settings(project):
        for section, values in content.items():
            url = str(values.get("url") or "") if isinstance(values, dict) and section.startswith("remote ") else ""
            if url and file.is_relative_to(project.dvc_dir):
                local.put(section.replace("'remote ", "remote ").strip("'"), {"url": cache_place.resolved(url, file)})
    local.put("cache", {"dir": str(cache_place.cache_folder(project).parent.parent)})
    local.write(private=True)


def _drivers() -> list[str]:
    """Return the settings that make this emdvc the driver, also where attributes name the one that DVC has."""
    program = f"{shlex.quote(Path(sys.executable).as_posix())} -P -m emdvc git merge-file"
    command = f"{program} %O %A %B %P %L"
    values = {
        "merge.emdvc.driver": command,
        "merge.emdvc.recursive": "emdvc-base",
        "merge.emdvc-base.driver": f"{program} --virtual %O %A %B %P %L",
        "merge.dvc.driver": command,
        "submodule.recurse": "false",
    }
    return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]


def _attributes(project: Project, sides: Sides, folder: Path) -> list[str]:
    """Return the setting of a file of attributes: the person's own, and after them emdvc's drivers."""
    theirs = maybe(["config", "--type=path", "--get", "core.attributesFile"], folder)
    above = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    own = Path(theirs) if theirs else above / "git" / "attributes"
    lines = own.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if own.is_file() else []
    lines += [f"{pattern} {ATTRIBUTE}" for pattern in (*PATTERNS, *_of_stages(project, sides))]
    file = git_undo.git_path("emdvc-attributes", folder)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
    return ["-c", f"core.attributesFile={file.as_posix()}"]


def _of_stages(project: Project, sides: Sides) -> list[str]:
    """Return patterns of what stages write: such files follow the entry of their stage."""
    found: dict[str, None] = {}
    for commit in (sides.ours, sides.theirs):
        with suppress(EmdvcError), Snapshot(project, commit) as snapshot:
            outs = (entry.path for entry in recorded(snapshot).values() if entry.stage is not None)
            found |= dict.fromkeys(project.in_git(path) for path in outs)
    return [f'"/{_escaped(path)}{below}"' for path in found for below in ("", "/**")]


def _escaped(path: str) -> str:
    # a pattern first, and then a text between quotation marks
    pattern = "".join(f"\\{letter}" if letter in "\\*?[" else letter for letter in path)
    return pattern.replace("\\", "\\\\").replace('"', '\\"')


def _hooks(project: Project, folder: Path) -> list[str]:
    """Return the setting of a folder of hooks that call those of the clone which belong to the commit of a merge."""
    place = git_undo.git_path("emdvc-hooks", folder)
    place.mkdir()
    for name in _HOOKS:
        hook = git_undo.git_path(f"hooks/{name}", project.git_root)
        if hook.is_file() and os.access(hook, os.X_OK):
            script = place / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(hook.as_posix())} "$@"\n', encoding="utf-8", newline="\n")
            script.chmod(0o755)
    return ["-c", f"core.hooksPath={place.as_posix()}"]


def _typed(sides: Sides, folder: Path) -> str:
    """Return how git is to call theirs: by its name, which drivers and conflicts then show, where that is no other."""
    named = maybe(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{sides.branch}^{{commit}}"], folder)
    return sides.branch if named == sides.theirs else sides.theirs


def _refused(status: int, stdout: bytes, stderr: bytes) -> EnvironmentFault:
    lines = [line.strip() for line in (stderr + stdout).decode("utf-8", "replace").splitlines() if line.strip()]
    if status == 1 and not any(line.startswith(("fatal:", "error: Merge")) for line in lines):
        lines = [line for line in lines if not line.startswith(("Auto-merging", "emdvc: ", "Not committing"))]
        return EnvironmentFault(
            "a hook refused the merge",
            code=Code.PROGRAM_FAILED,
            evidence=lines[0] if lines else None,
            hint="nothing was changed; once it is mended, run the same command again",
        )
    return git.failed(["merge"], stderr or stdout)


def _differences(there: Project, ours: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the paths that differ from ours with their modes, and their lines of the index."""
    folder = there.git_root
    rows = git.run(["diff-index", "--cached", "-z", "--raw", "--no-renames", "--abbrev=40", ours], folder).stdout
    pieces = iter(rows.split(b"\0"))
    modes = {os.fsdecode(next(pieces)): row.split()[1].decode() for row in pieces if row}
    entries: dict[str, list[str]] = {path: [] for path in modes}
    for line in git.run(["ls-files", "-s", "-z"], folder).stdout.split(b"\0"):
        entry, _, name = os.fsdecode(line).partition("\t")
        if name in entries:
            entries[name].append(entry)
            modes[name] = entry.split()[0]  # of a path in conflict git gives no mode
    return {path: mode if entries[path] else "" for path, mode in modes.items()}, entries


def _beside(folder: Path) -> tuple[str, ...]:
    from emdvc.history.merging.asking.conflict_file import PICTURE, SUFFIX

    asked = ["ls-files", "-z", "--others", "--", f"*{SUFFIX}", f"*{PICTURE}"]
    return tuple(name for name in git.git(asked, folder).split("\0") if name)


def _complaints(stderr: bytes) -> tuple[str, ...]:
    lines = stderr.decode("utf-8", "replace").splitlines()
    telling = ("error[", "  ", "emdvc is not to be found")
    return tuple(line for line in lines if line.startswith(telling) or "is needed no more" in line)


def _told(file: Path) -> tuple[Told, ...]:
    if not file.exists():
        return ()
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        lists = (tuple(said.get(name) or ()) for name in ("notes", "repro", "conflicts"))
        found.append(Told(str(said["path"]), *lists))
    return tuple(sorted(found, key=lambda one: one.path))
