"""What ``.dvcignore`` leaves out of the data, as far as its patterns are plain; for all others DVC is asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

from emdvc.history.ask_dvc import AskDvcError

FILE = ".dvcignore"
#: A name, or every name with an ending: both hold in all folders.
_PLAIN = re.compile(r"\*?[\w.~-]+")
#: Names that DVC treats in its own way wherever they are met.
SPECIAL = frozenset([".git", ".hg", ".dvc", FILE])


class Ignored:
    """The names that DVC leaves out, in any folder of the project.

    Parameters
    ----------
    root
        The project's root.

    Raises
    ------
    AskDvcError
        A pattern is more than a name or an ending.
    """

    def __init__(self, root: Path) -> None:
        try:
            lines = [line.strip() for line in (root / FILE).read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeDecodeError) as error:
            raise AskDvcError(FILE) from error
        patterns = [line for line in lines if line and not line.startswith("#")]
        for pattern in patterns:
            if not _PLAIN.fullmatch(pattern):
                raise AskDvcError(f"the pattern {pattern} in {FILE}")
        self.key = " ".join(patterns)
        self._endings = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*"))
        self._names = frozenset(pattern for pattern in patterns if not pattern.startswith("*"))
        self._root = str(root)
        self._plain_folders: set[str] = {""}

    def __call__(self, name: str) -> bool:
        """Say whether a file or a folder of this name is left out."""
        return name in self._names or name.endswith(self._endings)

    def others(self, names: list[str]) -> list[str]:
        """Return the names that are not left out."""
        return [name for name in names if not (name.endswith(self._endings) or name in self._names)]

    def check_place(self, path: str) -> None:
        """Check that the folders which a path lies in are plain ones.

        Parameters
        ----------
        path
            Relative to the project, with forward slashes.

        Raises
        ------
        AskDvcError
            The path is left out by a pattern, or a folder on its way is a link, another project, or has patterns of
            its own.
        """
        if any(self(name) or name in SPECIAL for name in path.split("/")):
            raise AskDvcError(f"{path} is left out by {FILE}")
        folder = path.rpartition("/")[0]
        while folder not in self._plain_folders:
            full = f"{self._root}/{folder}"
            if os.path.islink(full) or any(os.path.lexists(f"{full}/{name}") for name in (FILE, ".dvc")):  # noqa: PTH114
                raise AskDvcError(f"the folder {folder}")
            self._plain_folders.add(folder)
            folder = folder.rpartition("/")[0]
