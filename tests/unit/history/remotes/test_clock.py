"""A remote whose clock is wrong: shown on a folder that tells other times than it was written at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emdvc.history.project import Project
from emdvc.history.remotes import checking
from emdvc.history.storage import connect
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.folder import FolderStorage


@pytest.mark.parametrize(
    ("ahead", "verdict", "text"),
    [
        (0.0, "ok", "the same as here"),
        (-40.0, "ok", "within 3"),
        (600.0, "warn", "10 min ahead of this machine's"),
        (-7200.0, "fail", "2.0 h behind this machine's"),
    ],
)
def test_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, verdict: str, text: str) -> None:
    class WrongClock(FolderStorage):
        async def stat(self, key: str) -> Stat | None:
            found = await super().stat(key)
            return found and replace(found, modified=(found.modified or 0) + ahead)

    monkeypatch.setattr(connect, "storage_of", WrongClock)
    monkeypatch.setattr("emdvc.history.remotes.trial.storage_of", WrongClock)
    monkeypatch.setattr("emdvc.history.remotes.measuring.SECONDS", 0.0)
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(f"['remote \"lab\"']\n    url = {tmp_path / 'lab'}\n    verify = true\n")
    found = {one.check: one for one in checking.check(Project(root, root), "lab")}
    assert found["clock"].verdict == verdict
    assert text in found["clock"].text
    assert (found["clock"].remedy is None) == (verdict == "ok")
    assert not list((tmp_path / "lab").rglob("check-*"))
