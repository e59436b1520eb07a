"""A text is parsed once, and gives back exactly what it held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emdvc.errors import MetadataError, ProjectError
from emdvc.formats.sidecar import load_yaml
from emdvc.history.project import Project
from emdvc.history.workspace.parsed_texts import ParsedTexts


class Parsing:
    """Parses YAML and counts how often."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root, root)
        self.count = 0

    def __call__(self, text: str) -> Any:
        texts = ParsedTexts(self.project)
        found = texts.load("yaml", text, self._parse)
        texts.save()
        return found

    def _parse(self, text: str) -> Any:
        self.count += 1
        return load_yaml(text, "here")


@pytest.fixture
def parsing(tmp_path: Path) -> Parsing:
    return Parsing(tmp_path)


@pytest.mark.parametrize(
    "text", ["a: 1", "[1, 2.5, -0.0, yes, null, '1']", "µ: {ü: 1e300}", "", "x", "9007199254740993"]
)
def test_a_text_is_parsed_once(parsing: Parsing, text: str) -> None:
    first, second = parsing(text), parsing(text)
    assert repr(first) == repr(second) == repr(load_yaml(text, "here"))
    assert parsing.count == 1


@pytest.mark.parametrize("text", ["a: 2026-01-02", "a: .nan", "1: a", "{true: a}", "a: !!set {x}", "a: !!binary aGk="])
def test_what_json_would_change_is_parsed_anew(parsing: Parsing, text: str) -> None:
    first, second = parsing(text), parsing(text)
    assert repr(first) == repr(second) == repr(load_yaml(text, "here"))
    assert parsing.count == 2


def test_another_text_or_another_parser(parsing: Parsing) -> None:
    assert parsing("a: 1") == {"a": 1}
    assert parsing("a: 2") == {"a": 2}
    assert ParsedTexts(parsing.project).load("length", "a: 2", len) == 4


@pytest.mark.parametrize("content", [b"", b"00000000\n{}", b'{"version": 1, "texts": {"yaml a: 1": 2}}', b"\xff\xfe"])
def test_a_damaged_file_costs_time_only(parsing: Parsing, content: bytes) -> None:
    parsing("a: 1")
    (parsing.project.journal_dir / "texts").write_bytes(content)
    assert parsing("a: 1") == {"a": 1}
    assert parsing.count == 2


def test_errors_are_those_of_the_parsers(parsing: Parsing) -> None:
    texts = ParsedTexts(parsing.project)
    with pytest.raises(MetadataError, match="here is not valid YAML"):
        texts.yaml("a: [", "here")
    (parsing.project.root / "dvc.yaml").write_text("- a\n")
    with pytest.raises(ProjectError, match="holds no mapping"):
        texts.read(parsing.project.root / "dvc.yaml")
    assert texts.read(parsing.project.root / "nothing.yaml") == {}
