"""Where each entry of a YAML text stands, with its comments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emdvc.history.merging.contract import Side
from emdvc.history.merging.texts.yaml_blocks import block, inner, merged_lines, merged_trails, shifted
from emdvc.history.merging.texts.yaml_nodes import UnusualYamlError, load, parse, scalar

EXAMPLES = sorted((Path(__file__).parents[5] / "examples").glob("*/*.yaml"))

TEXT = """\
# head

# above a
a: 1  # behind a
b:
  # above c
  c: |
    # no comment

    text

  # below c
# above d
d:
- x
- # above y
  y: [1,
      2]
  z:
# the end
"""


def test_comments_go_with_what_they_stand_above_and_deeper_ones_with_what_they_stand_in() -> None:
    root = parse(TEXT)
    assert root is not None
    found = block(TEXT.splitlines(keepends=True), root, 0, TEXT.count("\n"))
    assert [(entry.key, entry.lead, entry.trail) for entry in found.entries] == [
        ("a", "# head\n\n# above a\n", "  # behind a"),
        ("b", "", ""),
        ("d", "# above d\n", ""),
    ]
    assert found.tail == "# the end\n"
    assert "".join(entry.lead + entry.body for entry in found.entries) + found.tail == TEXT
    in_b = inner(found.entries[1])
    assert [(entry.lead, entry.body) for entry in in_b.entries] == [
        ("  # above c\n", "  c: |\n    # no comment\n\n    text\n")
    ]
    assert in_b.tail == "\n  # below c\n"
    in_d = inner(found.entries[2])
    assert [entry.body for entry in in_d.entries] == ["- x\n", "- # above y\n  y: [1,\n      2]\n  z:\n"]
    assert [entry.key for entry in inner(in_d.entries[1]).entries] == ["y", "z"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_entries_of_a_real_file_are_all_of_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    root = parse(text)
    assert root is not None
    assert root.value == load(text)
    found = block(text.splitlines(keepends=True), root, 0, text.count("\n"))
    assert "".join(entry.lead + entry.body for entry in found.entries) + found.tail == text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_without_libyaml_the_same_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [path.read_text(encoding="utf-8"), TEXT]
    fast = [parse(text) for text in texts]
    monkeypatch.setitem(sys.modules, "yaml._yaml", None)
    assert [parse(text) for text in texts] == fast


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "1.5",
        "1e3",
        "~",
        "null",
        "Null",
        "yes",
        "on",
        "0o10",
        "010",
        "2026-01-01",
        ".inf",
        "True",
        "1:30",
        "0x1F",
        "1_0",
        "nm",
        "a.b",
        "+1",
        "no",
        "n",
    ],
)
def test_words_are_read_as_by_everything_else(text: str) -> None:
    assert repr(scalar(text)) == repr(load(f"a: {text}\n")["a"])


@pytest.mark.parametrize(
    "text",
    [
        *("a: &x 1\n", "a: *x\n", "a: !t 1\n", "a: =\n", "a: 2026-13-45\n", "a: [1\n", "[a]: 1\n", "a: 1\na: 2\n"),
        *("a: 1\n---\nb: 1\n", "a: 1\n...\n", "%YAML 1.1\n---\na: 1\n"),
    ],
)
def test_unusual_texts_are_refused(text: str) -> None:
    with pytest.raises(UnusualYamlError):
        parse(text)


def test_lines_are_moved() -> None:
    assert shifted("a\n\n  b\n", 2) == "  a\n\n    b\n"
    assert shifted("  a\n\n    b\n# c\n", -2) == "a\n\n  b\n# c\n"


def test_comment_lines_of_three_sides() -> None:
    def merged(base: str, ours: str, theirs: str) -> str:
        sides = (Side.BASE, Side.OURS, Side.THEIRS)
        one = merged_lines(dict(zip(sides, (base, ours, theirs), strict=True)))
        assert one == merged_lines(dict(zip(sides, (base, theirs, ours), strict=True)))
        return one

    assert merged("# a\n", "# a\n# b\n", "# a\n") == "# a\n# b\n"
    assert merged("# a\n# b\n", "# b\n", "# a\n# b\n# c\n") == "# b\n# c\n"
    assert merged("\n# a\n", "\n# c\n", "\n# b\n") == "\n# b\n# c\n"
    assert merged("#\n#\n", "#\n#\n#\n", "#\n") == "#\n#\n"
    assert merged_trails({Side.OURS: "  # b", Side.THEIRS: " # a"}) == "  # b # a"
