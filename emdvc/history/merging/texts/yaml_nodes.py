"""The nodes of a YAML text with where each stands in it: so that what nobody changed is copied, not written anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal


class UnusualYamlError(Exception):
    """A text that is not merged by its lines: no YAML, or with anchors, tags, several documents, a key twice."""


@dataclass(slots=True)
class Node:
    """One value in a text.

    Parameters
    ----------
    kind
        What it is.
    flow
        Whether it is written within brackets.
    start, end
        Line, column and index of its first character, and of the one after its last. Of a block the end is that of the
        last value in it, so that comments below do not count.
    value
        The plain value of all of it.
    pairs
        Keys and values of a mapping.
    members
        Entries of a list.
    """

    kind: Literal["scalar", "map", "list"]
    flow: bool
    start: tuple[int, int, int]
    end: tuple[int, int, int]
    value: Any = None
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    members: list[Node] = field(default_factory=list)

    @property
    def block(self) -> bool:
        """Whether it is a mapping or a list of which each entry has lines of its own."""
        return self.kind != "scalar" and not self.flow


def parse(text: str) -> Node | None:
    """Return the tree of a text that ends its lines with LF; None where it holds no value.

    Raises
    ------
    UnusualYamlError
        It is not to be merged by its lines.
    """
    events = _events(text)
    root, depth = None, 0
    for event in events:
        name = type(event).__name__
        if name == "DocumentStartEvent":
            depth += 1
            if depth > 1 or event.version or event.tags:
                raise UnusualYamlError("several documents, or directives")
        elif name == "DocumentEndEvent":
            if event.explicit:
                raise UnusualYamlError("an end of the document that is marked")
        elif name not in ("StreamStartEvent", "StreamEndEvent"):
            root = _node(event, events, text)
    return root


def _node(event: Any, events: Iterator[Any], text: str) -> Node:
    kind = type(event).__name__
    if kind == "AliasEvent" or event.anchor is not None:
        raise UnusualYamlError("an anchor or an alias")
    if event.tag is not None:
        raise UnusualYamlError("a tag")
    start = _at(event.start_mark)
    if kind == "ScalarEvent":
        end = _at(event.end_mark)
        if event.implicit[0]:
            return Node("scalar", False, start, end, scalar(event.value))
        return Node("scalar", False, start, end if end[1] else _block_end(text, start, end), event.value)
    node = Node("map" if kind == "MappingStartEvent" else "list", bool(event.flow_style), start, start)
    closing = _members(node, events, text)
    if node.flow:
        node.end = _at(closing.end_mark)
    else:
        node.end = (node.members or [value for _, value in node.pairs])[-1].end
    return node


def _members(node: Node, events: Iterator[Any], text: str) -> Any:
    """Read what a mapping or a list holds, and return the event that closes it."""
    if node.kind == "list":
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                node.value = [member.value for member in node.members]
                return event
            node.members.append(_node(event, events, text))
    for event in events:
        if type(event).__name__ == "MappingEndEvent":
            node.value = {key.value: member.value for key, member in node.pairs}
            if len(node.value) < len(node.pairs):
                raise UnusualYamlError("a key that is twice in a mapping")
            return event
        key = _node(event, events, text)
        if key.kind != "scalar" or key.start[0] != key.end[0] or key.value == "<<":
            raise UnusualYamlError("a key that is no single word")
        value = _node(next(events), events, text)
        if value.start == value.end:
            # of a value that is not written, ruamel says that it stands below the comments which follow
            colon = text.index(":", key.end[2]) + 1
            value.start = value.end = (key.end[0], key.end[1] + colon - key.end[2], colon)
        node.pairs.append((key, value))
    raise UnusualYamlError("a text that ends too early")


def _block_end(text: str, start: tuple[int, int, int], end: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return where the lines of a `|` or `>` text end: empty lines below belong to it only where it keeps them."""
    written = text[start[2] : end[2]]
    if "+" in written.split("\n", 1)[0]:
        return end
    kept = written.rstrip("\n ")
    return start[0] + kept.count("\n") + 1, 0, start[2] + len(kept) + 1


def _at(mark: Any) -> tuple[int, int, int]:
    return mark.line, mark.column, mark.index


def _events(text: str) -> Iterator[Any]:
    """Return the parser's events: of libyaml, which is thirty times faster, else of ruamel."""
    try:
        # PyYAML comes with dask, which reads its own settings with it
        from yaml import YAMLError as Broken  # type: ignore[import-untyped]
        from yaml._yaml import CParser  # type: ignore[import-untyped]
    except ImportError:
        return _slow_events(text)
    found = []
    try:
        parser = CParser(text)
        while parser.check_event():
            found.append(parser.get_event())
    except Broken:
        # it knows YAML 1.1 only
        return _slow_events(text)
    return iter(found)


def _slow_events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return iter(list(YAML(typ="safe", pure=True).parse(text)))
    except YAMLError as error:
        raise UnusualYamlError(str(error).splitlines()[0]) from error


_WORD = re.compile(r"[A-Za-z_/][\w ./=-]*")
_NO_TEXT = re.compile(r"null|true|false|none|yes|no|on|off", re.IGNORECASE)


def scalar(text: str) -> Any:
    """Return the value of a text without quotes, by the rules of YAML 1.2, as DVC and emdvc read it."""
    if _WORD.fullmatch(text) and not _NO_TEXT.fullmatch(text):
        return text
    return _resolved(text)


@lru_cache(maxsize=4096)
def _resolved(text: str) -> Any:
    return None if text == "" else _resolver()(text)


@lru_cache(maxsize=1)
def _resolver() -> Callable[[str], Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import ScalarNode

    yaml = YAML(typ="safe", pure=True)
    resolver, constructor = yaml.resolver, yaml.constructor

    def value(text: str) -> Any:
        tag = resolver.resolve(ScalarNode, text, (True, False))
        try:
            return constructor.construct_object(ScalarNode(tag, text))
        except (YAMLError, ValueError) as error:
            raise UnusualYamlError(f"'{text}' has no value") from error

    return value


def plain_value(text: str) -> Any:
    """Return the plain value of a text, read by the fast parser where that can.

    Raises
    ------
    UnusualYamlError
        It is no YAML.
    """
    try:
        root = parse(text)
    except UnusualYamlError:
        return load(text)
    return None if root is None else root.value


def load(text: str) -> Any:
    """Return the plain value of any YAML text, as the rest of emdvc reads it.

    Raises
    ------
    UnusualYamlError
        It is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        raise UnusualYamlError(str(error).splitlines()[0]) from error
