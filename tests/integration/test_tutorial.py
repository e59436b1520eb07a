"""The tutorial is true: its commands are run in order, and print what the page shows (`...` stands for anything)."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import S3Server
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


@pytest.mark.slow
@pytest.mark.server
def test_three_people_and_a_facility(tmp_path: Path, s3_server: S3Server) -> None:
    """The whole story, against a real S3 service; the forge is a bare repository that git finds under its address."""
    telling = Telling(
        tmp_path,
        {
            "PYTHONIOENCODING": "utf-8",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{tmp_path.as_posix()}/forge/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://forge.example.org/",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3_server.endpoint,
            "AWS_CONFIG_FILE": str(tmp_path / "no-aws-config"),
        },
    )
    telling.run((PAGES / "three-people.md").read_text(encoding="utf-8"))
    assert telling.count > 50
