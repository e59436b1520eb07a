"""Files that people edit too come back with their comments and their own indentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdvc.errors import ProjectError
from emdvc.history import yaml_files
from emdvc.history.yaml_files import YamlFile, flow

FLAT = """\
# our pipeline
stages:
  a:  # by hand
    cmd: echo "x"
    deps:
    - raw/a
    # why
    - 'b'
"""
DEEP = """\
vars:
  - x: 1
stages: {}
"""


@pytest.mark.parametrize("text", [FLAT, DEEP, FLAT.replace("\n    - ", "\n      - ")])
def test_what_is_there_is_not_touched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text(text)
    YamlFile(path).write()
    assert path.read_text() == text


def test_an_addition_is_indented_as_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text(FLAT)
    file = YamlFile(path)
    file.content["stages"]["b"] = {"cmd": "y", "deps": flow(["c"]), "params": ["p", {"s.em.yaml": flow(["k"])}]}
    file.write()
    assert path.read_text() == FLAT + ("  b:\n    cmd: y\n    deps: [c]\n    params:\n    - p\n    - s.em.yaml: [k]\n")


def test_a_file_of_comments_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("# how to use this file\n")
    for name in ("one", "two"):
        file = YamlFile(path)
        file.content[name] = {"outer": "20px"}
        file.write()
    assert path.read_text() == "# how to use this file\none:\n  outer: 20px\ntwo:\n  outer: 20px\n"
    assert yaml_files.read(path) == {"one": {"outer": "20px"}, "two": {"outer": "20px"}}


def test_no_file_and_no_mapping(tmp_path: Path) -> None:
    assert yaml_files.read(tmp_path / "absent.yaml") == {}
    (tmp_path / "list.yaml").write_text("- 1\n")
    for read in (YamlFile, yaml_files.read):
        with pytest.raises(ProjectError, match="no mapping"):
            read(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    for read in (YamlFile, yaml_files.read):
        with pytest.raises(ProjectError, match="not valid YAML"):
            read(tmp_path / "broken.yaml")
