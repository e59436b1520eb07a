"""The tutorial is true: its commands are run in order, and print what the page shows (`...` stands for anything)."""

from __future__ import annotations

from pathlib import Path

import pytest
from told import Telling

PAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorial"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["first-scan", "your-own-step"])
def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Scripts are written where their first line says (`# scripts/halo.py`), the first of a page as `simulate.py`."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    telling = Telling(tmp_path)
    telling.run((PAGES / f"{page}.md").read_text(encoding="utf-8"))
    assert telling.count > 12
