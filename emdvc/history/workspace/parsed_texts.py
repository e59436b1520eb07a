"""YAML texts with what they hold, remembered by the text: to parse one takes milliseconds, and few of them change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from emdvc.errors import Code, ProjectError
from emdvc.history.project import Project

#: Version of the file; another one is not read.
VERSION = 1


class ParsedTexts:
    """What texts hold, by the text itself.

    Parameters
    ----------
    project
        The project; the texts are kept in ``.dvc/tmp/emdvc``, and may be lost at any time.
    """

    def __init__(self, project: Project) -> None:
        self._file = project.journal_dir / "texts"
        self._kept: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._changed = False
        with suppress(OSError, ValueError, KeyError, TypeError):
            check, _, text = self._file.read_bytes().partition(b"\n")
            found = json.loads(text)
            if found["version"] == VERSION and check == _check(text):
                self._kept = dict(found["texts"])

    def load(self, kind: str, text: str, parse: Callable[[str], Any]) -> Any:
        """Return what a text holds.

        Parameters
        ----------
        kind
            Which parser it is for.
        text
            The text.
        parse
            Parses it, where that was not done before. Its errors are the caller's.
        """
        key = f"{kind} {text}"
        for known in (self._used, self._kept):
            if key in known:
                self._used[key] = known[key]
                return known[key]
        found = parse(text)
        if _plain(found):
            self._used[key] = found
            self._changed = True
        return found

    def read(self, path: Path) -> dict[str, Any]:
        """Return the mapping of a YAML file; empty where there is no file.

        Raises
        ------
        ProjectError
            It is no YAML, or no mapping.
        """
        from emdvc.history import yaml_files

        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError as error:
            raise ProjectError(f"{path.name} is no text", code=Code.PROJECT_BROKEN, evidence=str(path)) from error
        found: dict[str, Any] = self.load("file", text, lambda _: yaml_files.read(path))
        return found

    def yaml(self, text: str, where: str) -> Any:
        """Return what a YAML text holds.

        Raises
        ------
        MetadataError
            It is no YAML.
        """
        from emdvc.formats.sidecar import load_yaml

        return self.load("yaml", text, lambda text: load_yaml(text, where))

    def save(self) -> None:
        """Keep the texts that were asked for, no others."""
        if not self._changed:
            return
        text = json.dumps({"version": VERSION, "texts": self._used}).encode()
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(_check(text) + b"\n" + text)
            partial.replace(self._file)


def _check(text: bytes) -> bytes:
    from zlib import crc32

    return b"%08x" % crc32(text)


def _plain(node: Any) -> bool:
    """Say whether JSON gives values back as they are: no date, no number that is not one, no key that is no text."""
    if isinstance(node, dict):
        return all(isinstance(key, str) and _plain(value) for key, value in node.items())
    if isinstance(node, list):
        return all(map(_plain, node))
    return node is None or type(node) in (str, bool, int) or (type(node) is float and node == node)
