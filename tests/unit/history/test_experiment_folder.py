"""The folder that DVC makes for an experiment: settings and records there belong to the project that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdvc.history.project import Project, main_root
from emdvc.history.storage.settings import remote_settings


@pytest.mark.parametrize("place", ["tmpabc", "standalone/tmpabc"])
def test_a_remote_is_where_the_project_says(tmp_path: Path, place: str) -> None:
    main = tmp_path / "project"
    there = main / ".dvc" / "tmp" / "exps" / place
    for root in (main, there):
        (root / ".dvc").mkdir(parents=True)
        (root / ".git").mkdir()
        (root / ".dvc" / "config").write_text("[core]\n    remote = lab\n['remote \"lab\"']\n    url = ../../storage\n")
    assert remote_settings(Project.find(there)).url == remote_settings(Project.find(main)).url
    assert remote_settings(Project.find(there)).url == str(tmp_path / "storage")


def test_the_project_of_a_folder(tmp_path: Path) -> None:
    inside = tmp_path / "a" / ".dvc" / "tmp" / "exps" / "tmp1" / "part"
    assert main_root(inside) == tmp_path / "a"
    assert main_root(tmp_path / "a") == tmp_path / "a"
    assert main_root(tmp_path / "exps" / "a") == tmp_path / "exps" / "a"
