"""YAML files that people edit too: written back with their comments, quotes and indentation."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from emdvc.errors import Code, ProjectError

# `key:` with a list below it that is indented deeper than the key
_INDENTED = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE)


class YamlFile:
    """A YAML mapping in a file, for a round trip.

    Parameters
    ----------
    path
        The file; it need not exist.
    text
        Its text, where that is not to be read from the file.

    Raises
    ------
    ProjectError
        It is no YAML, or no mapping.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.comments import CommentedMap
        from ruamel.yaml.error import YAMLError

        self.path = path
        self._text = text if text is not None else path.read_text(encoding="utf-8") if path.exists() else ""
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = 4096
        self._yaml.brace_single_entry_mapping_in_flow_sequence = True
        match = _INDENTED.search(self._text)
        deep = match is None or len(match[2]) > len(match[1])
        self._yaml.indent(mapping=2, sequence=4 if deep else 2, offset=2 if deep else 0)
        try:
            content = self._yaml.load(self._text)
        except YAMLError as error:
            raise _broken(path, error) from error
        self._bare = content is None
        self.content: Any = CommentedMap() if content is None else content
        if not isinstance(self.content, dict):
            raise ProjectError(f"{path.name} holds no mapping", code=Code.PROJECT_BROKEN, evidence=str(path))

    def write(self) -> None:
        """Write the file in one step."""
        from emdvc.formats.sidecar import write_text

        write_text(self.path, self.text())

    def text(self) -> str:
        """Return the text of what it holds now."""
        buffer = io.StringIO()
        if self.content:
            self._yaml.dump(self.content, buffer)
        # a file of comments only loses them in the parser
        text = self._text.rstrip("\n") + "\n" if self._bare and self._text.strip() else ""
        return text + buffer.getvalue()


def flow(node: Any) -> Any:
    """Return a list or mapping that is written on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(node, dict):
        mapping = CommentedMap({key: flow(value) for key, value in node.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(node, list | tuple):
        sequence = CommentedSeq([flow(value) for value in node])
        sequence.fa.set_flow_style()
        return sequence
    return node


def plain(node: Any) -> Any:
    """Return plain dicts and lists of what was read for a round trip."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def read(path: Path) -> dict[str, Any]:
    """Return the plain mapping of a YAML file; empty where there is no file.

    Raises
    ------
    ProjectError
        It is no YAML, or no mapping.
    """
    if not path.exists():
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise _broken(path, error) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ProjectError(f"{path.name} holds no mapping", code=Code.PROJECT_BROKEN, evidence=str(path))
    return content


def _broken(path: Path, error: Exception) -> ProjectError:
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: {getattr(error, 'problem', error)}" if mark else str(error).splitlines()[0]
    return ProjectError(f"{path.name} is not valid YAML", code=Code.PROJECT_BROKEN, evidence=line, hint=f"edit {path}")
