"""What lets git merge by emdvc: settings of the clone, a script in its git directory, attributes that travel.

A driver gets no word of ``-X ours`` and the like, which git then cannot apply. So it is named for the files that emdvc
writes or understands, and for those that a stage writes, which are one run's whole; every other file stays git's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.formats.sidecar import write_text
from emdvc.history import git
from emdvc.history.merging.drivers import script as merge_script
from emdvc.history.project import Project

#: Git's settings of a clone.
SETTINGS = {
    "merge.emdvc.name": "emdvc: sidecars, pointers, pipelines and results",
    "merge.emdvc.driver": merge_script.command(),
    "merge.emdvc.recursive": "emdvc-base",
    "merge.emdvc-base.name": "emdvc: two bases, merged for a base of their own",
    "merge.emdvc-base.driver": merge_script.command("--virtual"),
    "mergetool.emdvc.cmd": 'emdvc merge --tool "$MERGED"',
    "mergetool.emdvc.trustExitCode": "true",
}
#: What of a setting says that an earlier emdvc wrote it.
_OURS = ("emdvc_merge", "emdvc merge --tool", "emdvc: ")

#: Patterns of .gitattributes whose files emdvc merges in every project.
PATTERNS = (
    "*.em.yaml",
    "*.dvc",
    "dvc.lock",
    "dvc.yaml",
    "params.yaml",
    ".emdvc/*.yaml",
    ".gitignore",
    ".gitattributes",
)
#: A file for each pattern, by which git is asked.
_EXAMPLES = {
    pattern: {"*.em.yaml": "scan.em.yaml", "*.dvc": "scan.dvc", ".emdvc/*.yaml": ".emdvc/steps.yaml"}.get(
        pattern, pattern
    )
    for pattern in PATTERNS
}
_PICTURES = "*.png"
ATTRIBUTE = "merge=emdvc"

#: Lines of .git/info/exclude: what is written beside a conflict is for the person there alone.
EXCLUDED = ("*.conflict.yaml", "*.conflict.png")


def attributes_lacking(project: Project) -> list[str]:
    """Return the patterns that .gitattributes does not give to emdvc: those of every project, and of its results."""
    wanted = {pattern: _EXAMPLES[pattern] for pattern in PATTERNS}
    for path in kept_by_git(project):
        pattern = _PICTURES if path.suffix == ".png" else _pattern(path)
        wanted[pattern] = path.as_posix()
    found = _drivers(project, list(wanted.values()))
    # a person who names a driver of his own has reasons
    return [pattern for pattern, example in wanted.items() if found.get(example) in (None, "unset")]


def kept_by_git(project: Project) -> list[PurePosixPath]:
    """Return what stages write and git keeps (``cache: false``) and no general pattern covers, relative to the project.

    A ``${...}`` in a path is a ``*``. A dvc.yaml that cannot be read names nothing.
    """
    from emdvc.formats import sidecar as sidecars

    found: dict[PurePosixPath, None] = {}
    for name in dict.fromkeys(["dvc.yaml", *git.tracked(project.root, ["dvc.yaml", "*/dvc.yaml"])]):
        file = project.root / name
        if not file.is_file():
            continue
        with suppress(EmdvcError):
            content = sidecars.load_yaml(file.read_text(encoding="utf-8"), name)
            for path in _uncached(content):
                whole = os.path.normpath(PurePosixPath(name).parent / path).replace(os.sep, "/")
                if not whole.startswith("..") and not whole.endswith(sidecars.SUFFIX):
                    found[PurePosixPath(re.sub(r"\$\{.*?\}", "*", whole))] = None
    return list(found)


def script_path(git_dir: Path) -> Path:
    """Return where the script lies."""
    return git_dir / "emdvc" / merge_script.NAME


def script_lacks(git_dir: Path) -> bool:
    """Say whether the script is not there, or not as this emdvc writes it, or what it remembers is gone."""
    script = script_path(git_dir)
    return not (script.is_file() and merge_script.current(script.read_text(encoding="utf-8")))


def write_script(git_dir: Path) -> None:
    """Write the script."""
    script = script_path(git_dir)
    script.parent.mkdir(exist_ok=True)
    write_text(script, merge_script.script_text())


def is_ours(key: str, value: str) -> bool:
    """Say whether emdvc wrote a setting, this one or an earlier."""
    return value == SETTINGS.get(key) or any(part in value for part in _OURS)


def exclude_lacking(git_dir: Path) -> list[str]:
    """Return the lines that .git/info/exclude lacks."""
    file = git_dir / "info" / "exclude"
    have = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [line for line in EXCLUDED if line not in have]


def write_exclude(git_dir: Path, *, there: bool) -> None:
    """Write the lines into .git/info/exclude, or take them back."""
    file = git_dir / "info" / "exclude"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [line for line in text.splitlines() if line not in EXCLUDED]
    lines += EXCLUDED if there else ()
    if file.is_file() or there:
        file.parent.mkdir(exist_ok=True)
        write_text(file, "".join(f"{line}\n" for line in lines))


def _uncached(content: object) -> Iterator[str]:
    stages = content.get("stages") if isinstance(content, dict) else None
    for said in stages.values() if isinstance(stages, dict) else ():
        body = said.get("do", said) if isinstance(said, dict) else {}
        for kind in ("outs", "metrics", "plots"):
            for entry in body.get(kind) or []:
                for path, settings in entry.items() if isinstance(entry, dict) else ():
                    if isinstance(settings, dict) and settings.get("cache") is False:
                        yield (PurePosixPath(str(body.get("wdir") or ".")) / str(path)).as_posix()


def _pattern(path: PurePosixPath) -> str:
    text = f"/{path}"
    return text if re.fullmatch(r"[\w./+@*=,-]+", text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _drivers(project: Project, paths: list[str]) -> dict[str, str | None]:
    """Return the driver that the attributes name for each path; None where they name none."""
    answer = git.run(["check-attr", "-z", "merge", "--", *paths], project.root).stdout.decode(
        "utf-8", "surrogateescape"
    )
    words = answer.split("\0")
    found = dict(zip(words[0::3], words[2::3], strict=False))
    return {path: None if found.get(path) == "unspecified" else found.get(path) for path in paths}
