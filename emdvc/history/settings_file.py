"""One file of DVC's settings, edited line by line: what stands there already keeps its place and its comments."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emdvc.formats.sidecar import write_text
from emdvc.history.dvc_errors import damaged_settings


class SettingsFile:
    """A file of settings: sections (``core``, ``remote "lab"``) of keys with their text.

    Parameters
    ----------
    path
        The file; it need not exist.

    Raises
    ------
    ProjectError
        It is damaged.
    """

    def __init__(self, path: Path) -> None:
        from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped,unused-ignore]

        self.path = path
        try:
            self._lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            content: Any = ConfigObj(self._lines, interpolation=False)
        except (ConfigObjError, UnicodeDecodeError) as error:
            raise damaged_settings(str(error)) from error
        self._before = list(self._lines)
        self.sections: dict[str, dict[str, str]] = {
            name: {key: str(value) for key, value in values.items()}
            for name, values in content.items()
            if isinstance(values, dict)
        }

    @property
    def changed(self) -> bool:
        """Whether something differs from what lies on the disk."""
        return self._lines != self._before

    def get(self, section: str) -> dict[str, str]:
        """Return what a section says; empty where there is none."""
        return dict(self.sections.get(section, {}))

    def put(self, section: str, values: Mapping[str, str]) -> list[str]:
        """Set values in a section, which is made where it lacks, and return the keys that differ from before."""
        have = self.sections.setdefault(section, {})
        differing = [key for key, value in values.items() if have.get(key) != value]
        for key in [key for key in differing if key in have]:
            self._lines[self._line_of(section, key)] = f"    {key} = {quoted(values[key])}"
        self._append(section, [f"    {key} = {quoted(values[key])}" for key in differing if key not in have])
        have.update({key: values[key] for key in differing})
        return differing

    def drop(self, section: str, key: str | None = None) -> None:
        """Take out a key, or a whole section."""
        if section not in self.sections:
            return
        if key is not None:
            if self.sections[section].pop(key, None) is not None:
                del self._lines[self._line_of(section, key)]
            return
        start, end = self._extent(section)
        del self._lines[start:end]
        del self.sections[section]

    def write(self, *, private: bool = False) -> None:
        """Write the file in one step.

        Parameters
        ----------
        private
            Nobody else on this machine may read it.
        """
        text = "\n".join(self._lines) + "\n" if self._lines else ""
        if not private:
            write_text(self.path, text)
            return
        # readable by its owner alone before the first byte is in it
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".partial")
        passing = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            passing.replace(self.path)
        except BaseException:
            passing.unlink(missing_ok=True)
            raise

    def _headers(self) -> dict[str, int]:
        found = {}
        for index, line in enumerate(self._lines):
            if line.strip().startswith("["):
                found[line.rsplit("]", 1)[0].strip().lstrip("[").strip("'")] = index
        return found

    def _extent(self, section: str) -> tuple[int, int]:
        """Return the first line of a section and the one after its last; a comment there speaks of the next section."""
        headers = self._headers()
        start = headers[section]
        end = min((index for index in headers.values() if index > start), default=len(self._lines))
        while not self._lines[end - 1].strip() or self._lines[end - 1].lstrip().startswith("#"):
            end -= 1
        return start, end

    def _line_of(self, section: str, key: str) -> int:
        start, end = self._extent(section)
        return next(
            i for i in range(start + 1, end) if re.match(rf"\s*['\"]?{re.escape(key)}['\"]?\s*=", self._lines[i])
        )

    def _append(self, section: str, lines: list[str]) -> None:
        if not lines:
            return
        if section not in self._headers():
            self._lines += [f"['{section}']" if '"' in section else f"[{section}]", *lines]
            return
        end = self._extent(section)[1]
        self._lines[end:end] = lines


def quoted(value: str) -> str:
    """Return a text as it stands in the file, with quotes where it needs them."""
    if value and value == value.strip() and not set(value) & set(",#'\""):
        return value
    for mark in ('"', "'", "'''", '"""'):
        if mark not in value:
            return f"{mark}{value}{mark}"
    return f'"{value}"'
