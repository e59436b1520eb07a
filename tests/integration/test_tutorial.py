"""The tutorial is true: its commands are run in order, and print what the page shows (`...` stands for anything)."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["first-scan", "your-own-step"])
def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Scripts are written where their first line says (`# scripts/halo.py`), the first of a page as `simulate.py`."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    folder = tmp_path
    count = 0
    for match in BLOCK.finditer((PAGES / f"{page}.md").read_text(encoding="utf-8")):
        if match["kind"] == "python":
            named = re.match(r"# (\S+\.py)\n", match["text"])
            (folder / (named[1] if named else "simulate.py")).write_text(match["text"], encoding="utf-8")
        for words, shown in _commands(match["text"]) if match["kind"] == "console" else ():
            count += 1
            if words[0] == "cd":
                folder = (folder / words[1]).resolve()
                continue
            said = _run(words, folder, fails="error[" in shown)
            # as in a doctest: `...` stands for any text, also for none and over several lines
            assert doctest.OutputChecker().check_output(shown, said, doctest.ELLIPSIS), (
                f"$ {shlex.join(words)}\n--- the page\n{shown}\n--- printed\n{said}"
            )
    assert count > 12


def _commands(text: str) -> list[tuple[list[str], str]]:
    """Return each command of a block with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return [(shlex.split(command), shown) for command, shown in zip(parts[1::2], parts[2::2], strict=True)]


def _run(words: list[str], folder: Path, *, fails: bool) -> str:
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
    assert (done.returncode != 0) == fails, f"$ {shlex.join(words)}\n{done.stdout}"
    return done.stdout
