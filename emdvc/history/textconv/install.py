"""What lets git speak of metadata and chunks, and merge them: settings of the clone, scripts, attributes, hooks.

Git asks ``diff.emdvc.textconv`` for the text of every file whose attribute ``diff`` is ``emdvc``, and compares texts.
The setting calls a script that `emdvc git install` writes; a clone without both, or where emdvc is gone, shows files as
they are. Git's own cache of such texts (``cachetextconv``) would keep what was shown while emdvc was missing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emdvc.formats.sidecar import write_text
from emdvc.history import attributes, git
from emdvc.history.merging.drivers import install as merging
from emdvc.history.programs import notebook_filter, notebooks
from emdvc.history.project import Project
from emdvc.history.raw import hook
from emdvc.history.textconv import script as git_script
from emdvc.history.textconv import texts as git_texts

#: Lines of .gitattributes by which files are shown as text.
ATTRIBUTES = ("*.em.yaml text eol=lf diff=emdvc", "*.dvc diff=emdvc")
#: The same for dvc.lock, where that is wished.
LOCK_ATTRIBUTE = "dvc.lock diff=emdvc"

_FILE = ".gitattributes"

#: Git's settings of a clone. The second names the section above a hunk, in the texts and in YAML.
SETTINGS = {
    "diff.emdvc.textconv": git_script.COMMAND,
    "diff.emdvc.xfuncname": "^[^[:space:]#<>|=-].*:.*$",
}
_ALL_SETTINGS = {**SETTINGS, **merging.SETTINGS}
#: Values that an earlier emdvc wrote.
_EARLIER = {"diff.emdvc.xfuncname": ("^[A-Za-z_][A-Za-z_0-9]*:.*$",)}


@dataclass(slots=True)
class Changes:
    """What was written or taken back, in words a person understands.

    Parameters
    ----------
    made, removed
        Parts written, parts taken back.
    kept
        Parts that stay, and why.
    """

    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class State:
    """What is installed.

    Parameters
    ----------
    git_dir
        The git directory that all worktrees of the clone share.
    settings
        Of :data:`SETTINGS`, what each is set to; None where it is not set.
    script
        Whether the script is there, as this emdvc writes it.
    attributes
        Whether sidecars, pointers and dvc.lock have the attribute.
    program
        What the script would call now: ``emdvc`` on PATH or the interpreter that it remembers; None where it finds
        neither and gives files as they are.
    texts
        What is kept.
    hooks
        The hooks of raw data that lack.
    merging
        What lacks for git to merge by emdvc.
    """

    git_dir: Path
    settings: dict[str, str | None]
    script: bool
    attributes: dict[str, bool]
    program: str | None
    texts: git_texts.Kept
    hooks: tuple[str, ...] = ()
    merging: tuple[str, ...] = ()

    @property
    def lacking(self) -> list[str]:
        """What lacks for git to show texts; dvc.lock is a matter of choice."""
        found = [f"setting {key}" for key, value in self.settings.items() if value != SETTINGS[key]]
        found += [] if self.script else [f"script {self.git_dir / 'emdvc' / git_script.NAME}"]
        found += [f"attribute diff=emdvc of {name}" for name, there in self.attributes.items() if not there]
        return [one for one in found if one != "attribute diff=emdvc of dvc.lock"]

    @property
    def installed(self) -> bool:
        """Whether git shows texts, as far as emdvc is found."""
        return not self.lacking


def examine(project: Project) -> State:
    """Return what is installed in a clone."""
    folder = git_dir(project)
    script = folder / "emdvc" / git_script.NAME
    text = script.read_text(encoding="utf-8") if script.is_file() else ""
    return State(
        folder,
        {key: _own(key, project) for key in SETTINGS},
        git_script.current(text),
        _attributes(project),
        git_script.program(text),
        git_texts.kept(folder / "emdvc" / "texts"),
        # with a folder of hooks of the person's own it is said once, at the installation
        tuple(hook.lacking(project)) if hook.folder(project) is not None else (),
        tuple(_lacking_for_merges(project, folder)),
    )


def _lacking_for_merges(project: Project, folder: Path) -> list[str]:
    found = [f"setting {key}" for key, wanted in merging.SETTINGS.items() if _own(key, project) != wanted]
    found += [f"script {merging.script_path(folder)}"] if merging.script_lacks(folder) else []
    found += [f"attribute {merging.ATTRIBUTE} of {pattern}" for pattern in merging.attributes_lacking(project)]
    found += notebook_filter.lacking(project, folder)
    return found + [f"line {line} of info/exclude" for line in merging.exclude_lacking(folder)]


def install(project: Project, *, lock: bool = False, dry_run: bool = False) -> Changes:
    """Complete a clone and the project's attributes.

    Parameters
    ----------
    project
        The project.
    lock
        Whether dvc.lock is to be shown as text, too.
    dry_run
        Whether to write nothing.
    """
    lines = notebooks.lacking_attributes(project)
    if lines and not dry_run:  # first: a clone is given the filter where they are
        notebook_filter.add_attributes(project, lines)
    changes = install_clone(project, dry_run=dry_run)
    changes.made += [f"{_FILE}: {line}" for line in lines]
    wanted = dict(zip(("scan.em.yaml", "scan.dvc"), ATTRIBUTES, strict=True))
    wanted |= {"dvc.lock": LOCK_ATTRIBUTE} if lock else {}
    have = _attributes(project)
    lacking = [line for name, line in wanted.items() if not have[name]]
    unmerged = merging.attributes_lacking(project)
    if lacking or unmerged:
        path = project.root / _FILE
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if not dry_run:
            start = text if not text or text.endswith("\n") else text + "\n"
            text = start + "".join(f"{line}\n" for line in lacking)
            write_text(path, attributes.completed(text, unmerged, merging.ATTRIBUTE))
        changes.made += [f"{_FILE}: {line}" for line in lacking]
        changes.made += [f"{_FILE}: {pattern} {merging.ATTRIBUTE}" for pattern in unmerged]
    return changes


def install_clone(project: Project, *, dry_run: bool = False) -> Changes:
    """Write the settings and the scripts, which a clone does not bring along; what a person set otherwise stays."""
    changes = Changes()
    for key, wanted in _ALL_SETTINGS.items():
        found = _own(key, project)
        if found == wanted:
            continue
        if found is not None and not _ours(key, found):
            changes.kept.append(f"setting {key} is your own: {found}")
            continue
        if not dry_run:
            git.set_config(key, wanted, project.git_root)
        changes.made.append(f"setting {key}")
    place = git_dir(project)
    folder = place / "emdvc"
    script = folder / git_script.NAME
    there = script.read_text(encoding="utf-8") if script.is_file() else ""
    if not git_script.current(there) or git_script.remembered(there) is None:
        if not dry_run:
            folder.mkdir(exist_ok=True)
            write_text(script, git_script.script_text())
        changes.made.append(f"script {script}")
    if merging.script_lacks(place):
        if not dry_run:
            merging.write_script(place)
        changes.made.append(f"script {merging.script_path(place)}")
    excluded = merging.exclude_lacking(place)
    if excluded:
        if not dry_run:
            merging.write_exclude(place, there=True)
        changes.made.append(f"info/exclude: {', '.join(excluded)}")
    changes.made += notebook_filter.install_clone(project, place, dry_run=dry_run)
    made, kept = hook.install(project, dry_run=dry_run)
    changes.made += made
    changes.kept += kept
    return changes


def uninstall(project: Project, *, attributes: bool = False, dry_run: bool = False) -> Changes:
    """Take back what :func:`install` wrote into a clone.

    Parameters
    ----------
    project
        The project.
    attributes
        Whether to take back the attributes, too: they travel with the project, and do nothing without the settings.
    dry_run
        Whether to write nothing.
    """
    changes = Changes()
    for key in _ALL_SETTINGS:
        found = _own(key, project)
        if found is None:
            continue
        if not _ours(key, found):
            changes.kept.append(f"setting {key} is your own: {found}")
            continue
        if not dry_run:
            git.run(["config", "--local", "--unset-all", key], project.git_root)
        changes.removed.append(f"setting {key}")
    changes.removed += hook.uninstall(project, dry_run=dry_run)
    place = git_dir(project)
    changes.removed += notebook_filter.uninstall(project, place, dry_run=dry_run)
    folder = place / "emdvc"
    for part in (folder / git_script.NAME, merging.script_path(place), folder / "texts"):
        if part.exists():
            kind = "texts in" if part.is_dir() else "script"
            if not dry_run:
                git_texts.forget(part) if part.is_dir() else part.unlink()
            changes.removed.append(f"{kind} {part}")
    if merging.exclude_lacking(place) != list(merging.EXCLUDED):
        if not dry_run:
            merging.write_exclude(place, there=False)
        changes.removed.append(f"info/exclude: {', '.join(merging.EXCLUDED)}")
    if not dry_run:
        with suppress(OSError):  # something else of emdvc may lie there
            folder.rmdir()
    if attributes:
        _take_back_attributes(project, changes, dry_run=dry_run)
    return changes


def _take_back_attributes(project: Project, changes: Changes, *, dry_run: bool) -> None:
    path = project.root / _FILE
    if not path.exists():
        return
    text, merged = attributes.without(path.read_text(encoding="utf-8"), merging.ATTRIBUTE)
    changes.removed += [f"{_FILE}: {pattern} {merging.ATTRIBUTE}" for pattern in merged]
    lines = []
    for line in text.splitlines():
        if line.strip() in (ATTRIBUTES[1], LOCK_ATTRIBUTE):
            changes.removed.append(f"{_FILE}: {line.strip()}")
        elif line.strip() == ATTRIBUTES[0]:
            # the line ends of sidecars stay as they are: that keeps them the same on every system
            lines.append(line.strip().removesuffix(" diff=emdvc"))
            changes.removed.append(f"{_FILE}: diff=emdvc of *.em.yaml")
        else:
            lines.append(line)
    if not dry_run:
        write_text(path, "".join(f"{line}\n" for line in lines))


def refresh(git_directory: Path) -> None:
    """Write the script again where it is one of another emdvc, which keeps texts of another form."""
    script = git_directory / "emdvc" / git_script.NAME
    with suppress(OSError):
        if script.is_file() and not git_script.current(script.read_text(encoding="utf-8")):
            write_text(script, git_script.script_text())


def git_dir(project: Project) -> Path:
    """Return the git directory that all worktrees of a clone share."""
    said = git.git(["rev-parse", "--git-common-dir"], project.git_root)
    return Path(os.path.abspath(project.git_root / said))  # noqa: PTH100


def _own(key: str, project: Project) -> str | None:
    """Return a setting of the clone itself: one of the person's that holds everywhere is not touched."""
    done = git.run(["config", "--local", "--get", key], project.git_root, accept=(0, 1))
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n") if done.returncode == 0 else None


def _ours(key: str, value: str) -> bool:
    if key in merging.SETTINGS:
        return merging.is_ours(key, value)
    return value in (SETTINGS[key], *_EARLIER.get(key, ())) or (key.endswith("textconv") and "emdvc_dir" in value)


def _attributes(project: Project) -> dict[str, bool]:
    names = ["scan.em.yaml", "scan.dvc", "dvc.lock"]
    found = git_texts.attribute(git.run(["check-attr", "-z", "diff", "--", *names], project.root).stdout)
    return {name: found.get(name) == "emdvc" for name in names}
