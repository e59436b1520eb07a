"""The tutorial is true: its commands are run in order, and print what the page shows (`...` stands for anything)."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-scan.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [(match["kind"], match["text"]) for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    (script,) = [text for kind, text in blocks if kind == "python"]
    (tmp_path / "simulate.py").write_text(script, encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    folder = tmp_path
    commands = [command for kind, text in blocks if kind == "console" for command in _commands(text)]
    assert len(commands) > 15
    for words, shown in commands:
        if words[0] == "cd":
            folder = (folder / words[1]).resolve()
            continue
        said = _run(words, folder)
        # as in a doctest: `...` stands for any text, also for none and over several lines
        assert doctest.OutputChecker().check_output(shown, said, doctest.ELLIPSIS), (
            f"$ {shlex.join(words)}\n--- the page\n{shown}\n--- printed\n{said}"
        )


def _commands(text: str) -> list[tuple[list[str], str]]:
    """Return each command of a block with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return [(shlex.split(command), shown) for command, shown in zip(parts[1::2], parts[2::2], strict=True)]


def _run(words: list[str], folder: Path) -> str:
    program = {
        "python": [sys.executable],
        "emdvc": [sys.executable, "-m", "emdvc"],
        "dvc": [sys.executable, "-m", "dvc"],
    }
    done = subprocess.run(
        [*program[words[0]], *words[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"$ {shlex.join(words)}\n{done.stdout}"
    return done.stdout
