"""What a profile allows, and what no profile can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emdvc.errors import UsageError
from emdvc.history.project import Project
from emdvc.history.remotes import profiles


def project(tmp_path: Path, text: str) -> Project:
    (tmp_path / ".emdvc").mkdir()
    (tmp_path / ".emdvc" / "config.yaml").write_text(text)
    return Project(tmp_path, tmp_path)


def test_of_a_project(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "remotes:\n  profiles:\n    vault: {profile: archive, lock_days: 3650}\n    Fast: scratch\n"
        "    pub: {read_only: true}\n",
    )
    vault, fast, pub = (profiles.of(found, name) for name in ("vault", "fast", "pub"))
    assert (vault.collected, vault.keeps_raw, vault.lasting, vault.lock_days) == (False, True, True, 3650)
    assert (fast.collected, fast.keeps_raw, fast.lasting) == (True, False, False)
    assert pub.read_only
    assert profiles.of(found, "lab") == profiles.PROFILES["facility"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"profile": "arhive"}, "did you mean archive"),
        ({"profile": "archive", "lock_days": 0}, "whole number"),
        ({"profile": "archive", "lock_days": True}, "whole number"),
        ({"profile": "scratch", "lock_days": 5}, "--profile archive"),
    ],
)
def test_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        profiles.from_settings(said)
    assert message in str(caught.value)
