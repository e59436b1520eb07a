"""The adapter over DVC: settings, read as DVC reads them and written with their comments kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emdvc.history.dvc_errors import translated
from emdvc.history.project import Project
from emdvc.history.settings_file import SettingsFile


def settings(project: Project) -> dict[str, Any]:
    """Return the settings in force: of the machine, the user, the project and this clone together."""
    with translated():
        from dvc.config import Config

        config: dict[str, Any] = Config(str(project.dvc_dir))
        return dict(config)


def project_settings(root: Path) -> dict[str, dict[str, str]]:
    """Return what the project's own ``.dvc/config`` says: section -> key -> text."""
    return SettingsFile(root / ".dvc" / "config").sections


def complete_settings(root: Path, wanted: dict[str, dict[str, str]]) -> list[str]:
    """Write the settings that the project does not have yet and return their names; those that it has stay.

    Parameters
    ----------
    wanted
        Section (``core``, ``remote "lab"``) -> key -> text.
    """
    file = SettingsFile(root / ".dvc" / "config")
    made = []
    for section, values in wanted.items():
        have = file.get(section)
        made += [f"{section}.{key}" for key in file.put(section, {k: v for k, v in values.items() if k not in have})]
    if made:
        file.write()
    return made


def set_local(project: Project, section: str, key: str, value: str) -> None:
    """Write a setting of this clone alone, into ``.dvc/config.local``, which nobody else on this machine may read."""
    file = SettingsFile(project.dvc_dir / "config.local")
    file.put(section, {key: value})
    file.write(private=True)
