"""The script in a clone's git directory that gives git the text of a file, by emdvc or, where that is gone, as it is.

Git runs it by its own shell, also on Windows: plain POSIX, and no Python where the text is known.
"""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from emdvc.history import own_program
from emdvc.history.textconv import texts as git_texts

#: Its name, below the folder ``emdvc`` of the git directory.
NAME = "textconv"

#: Git's setting that calls it. Also where it is missing (a clone copied by hand) git must be able to show a difference.
COMMAND = (
    'emdvc_text() { emdvc_dir="$(git rev-parse --git-common-dir)/emdvc"; '
    f'if [ -r "$emdvc_dir/{NAME}" ]; then . "$emdvc_dir/{NAME}"; else cat -- "$1"; fi; }}; emdvc_text'
)

_REMEMBERED = ("emdvc_python", "emdvc_package")
_SCRIPT_TEXT = """\
# Written by `emdvc git install`, taken back by `emdvc git uninstall`. Git reads it to show a sidecar, a .dvc pointer or
# a dvc.lock as text. Where emdvc is not to be found it gives every file as it is, also one whose text is known: a
# difference between a text and a file would be none that anybody understands.
# $1: the file
emdvc_python={python}
emdvc_package={package}
emdvc_on_path=$(command -v emdvc) || emdvc_on_path=
if ! {{ [ -x "$emdvc_python" ] && [ -f "$emdvc_package" ]; }}; then emdvc_python=; fi
if [ -z "$emdvc_on_path$emdvc_python" ]; then
  cat -- "$1"
  exit
fi
emdvc_dir=${{emdvc_dir:-$(git rev-parse --git-common-dir)/emdvc}}
emdvc_kept=$(git hash-object --no-filters -- "$1" 2>/dev/null) || emdvc_kept=
emdvc_kept=${{emdvc_kept:+$emdvc_dir/texts/{form}/$emdvc_kept}}
if [ -f "$emdvc_kept" ]; then cat -- "$emdvc_kept" 2>/dev/null && exit; fi
if [ -n "$emdvc_on_path" ]; then emdvc git textconv --keep "$emdvc_kept" -- "$1" 2>/dev/null && exit; fi
if [ -n "$emdvc_python" ]; then
  "$emdvc_python" -P -m emdvc git textconv --keep "$emdvc_kept" -- "$1" 2>/dev/null && exit
fi
cat -- "$1"
"""


def script_text() -> str:
    """Return the script; it remembers the interpreter that runs now, for a shell in which emdvc is not on PATH."""
    return _SCRIPT_TEXT.format(**own_program.words(), form=git_texts.FORM)


def current(script: str) -> bool:
    """Say whether a script is the one that this emdvc writes, whichever interpreter it remembers."""
    return own_program.same_script(script, script_text())


def remembered(script: str) -> Path | None:
    """Return the interpreter that a script remembers; None where that is gone, or emdvc is gone from it."""
    found = {}
    for line in script.splitlines():
        name, _, value = line.partition("=")
        if name in _REMEMBERED:
            with suppress(ValueError):
                found[name] = "".join(shlex.split(value))
    python, package = (found.get(name) for name in _REMEMBERED)
    usable = python and package and os.access(python, os.X_OK) and Path(package).is_file()
    return Path(python) if python and usable else None


def program(script: str) -> str | None:
    """Return what a script would call now, found as it finds it; None where it gives files as they are."""
    on_path = shutil.which("emdvc")
    python = remembered(script)
    return on_path or (f"{python} -m emdvc" if python else None)
