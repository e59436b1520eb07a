"""The script in a clone's git directory that git calls to merge a file, by emdvc or, where that is gone, line by line.

Git runs it by its own shell, also on Windows: plain POSIX.
"""

from __future__ import annotations

from emdvc.history import own_program

#: Its name, below the folder ``emdvc`` of the git directory.
NAME = "merge"

_LABELS = "-L ours -L base -L theirs"
_ALONE = f'git merge-file -q --diff3 --marker-size="$5" {_LABELS} -- "$2" "$1" "$3"'


def command(*options: str) -> str:
    """Return git's setting that calls the script; a clone that was copied by hand lacks it, and must merge as well.

    Parameters
    ----------
    options
        For `emdvc git merge-file`.
    """
    words = "".join(f" {option}" for option in options)
    return (
        'emdvc_merge() { emdvc_dir="$(git rev-parse --git-common-dir)/emdvc"; '
        f'if [ -r "$emdvc_dir/{NAME}" ]; then . "$emdvc_dir/{NAME}"; else {_ALONE} || return 1; fi; }}; '
        f'emdvc_options="{words.strip()}"; emdvc_merge %O %A %B %P %L'
    )


_TEXT = """\
# Written by `emdvc git install`, taken back by `emdvc git uninstall`. Git reads it to merge a file that both sides
# changed. Where emdvc is not to be found, or does not work, the file is merged line by line, and what both sides
# changed stands between marks in it: it is never left as one side has it.
# $1: the file in the last commit in common, $2: ours, which is written, $3: theirs, $4: its path, $5: length of marks
emdvc_python={python}
emdvc_package={package}
emdvc_before=$(git hash-object --no-filters -- "$2")
emdvc_status=127
if [ -x "$emdvc_python" ] && [ -f "$emdvc_package" ]; then
  "$emdvc_python" -P -m emdvc git merge-file $emdvc_options -- "$1" "$2" "$3" "$4" "$5"
  emdvc_status=$?
elif command -v emdvc >/dev/null 2>&1; then
  emdvc git merge-file $emdvc_options -- "$1" "$2" "$3" "$4" "$5"
  emdvc_status=$?
fi
if [ "$emdvc_status" -eq 0 ]; then return 0; fi
if [ "$emdvc_status" -eq 127 ] && [ -z "$emdvc_options" ]; then
  echo "emdvc is not to be found: $4 is merged line by line" >&2
fi
if [ "$emdvc_before" = "$(git hash-object --no-filters -- "$2")" ]; then
  {alone} && [ "$emdvc_status" -eq 127 ] && return 0
fi
return 1
"""


def script_text() -> str:
    """Return the script; it remembers the interpreter that runs now, for a shell in which emdvc is not on PATH."""
    return _TEXT.format(**own_program.words(), alone=_ALONE)


def current(script: str) -> bool:
    """Say whether a script is the one that this emdvc writes, and the interpreter that it remembers is there."""
    return own_program.same_script(script, script_text()) and own_program.there(script)
