"""How a script of git's finds this emdvc again where it is not on PATH: it remembers the interpreter that wrote it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import emdvc

#: The lines of a script that name the interpreter and the package begin so.
REMEMBERED = ("emdvc_python=", "emdvc_package=")


def words() -> dict[str, str]:
    """Return what takes the places ``{python}`` and ``{package}`` of a script, quoted for a POSIX shell."""
    package = Path(emdvc.__file__).resolve().parent / "__main__.py"
    # forward slashes: also git's own shell on Windows reads them
    return {
        "python": shlex.quote(Path(sys.executable).as_posix() if sys.executable else ""),
        "package": shlex.quote(package.as_posix()),
    }


def same_script(script: str, other: str) -> bool:
    """Say whether two scripts are the same, whichever interpreter they remember."""
    return _without_remembered(script) == _without_remembered(other)


def there(script: str) -> bool:
    """Say whether the interpreter and the package that a script remembers are there."""
    found = [line.partition("=")[2] for line in script.splitlines() if line.startswith(REMEMBERED)]
    return all(Path("".join(shlex.split(value))).is_file() for value in found)


def _without_remembered(script: str) -> list[str]:
    return [line for line in script.splitlines() if not line.startswith(REMEMBERED)]
