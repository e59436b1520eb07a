"""The adapter over DVC: settings, read as DVC reads them and written with their comments kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emdvc.formats.sidecar import write_text
from emdvc.history.dvc_errors import damaged_settings, translated
from emdvc.history.project import Project


def settings(project: Project) -> dict[str, Any]:
    """Return the settings in force: of the machine, the user, the project and this clone together."""
    with translated():
        from dvc.config import Config

        config: dict[str, Any] = Config(str(project.dvc_dir))
        return dict(config)


def project_settings(root: Path) -> dict[str, dict[str, str]]:
    """Return what the project's own ``.dvc/config`` says: section -> key -> text."""
    return {section: dict(values) for section, values in _config(root).items() if isinstance(values, dict)}


def complete_settings(root: Path, wanted: dict[str, dict[str, str]]) -> list[str]:
    """Write the settings that the project does not have yet and return their names; those that it has stay.

    Parameters
    ----------
    wanted
        Section (``core``, ``remote "lab"``) -> key -> text.
    """
    config = _config(root)
    path = root / ".dvc" / "config"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    made = []
    for section, values in wanted.items():
        lacking = {key: value for key, value in values.items() if key not in config.get(section, {})}
        if lacking:
            _insert(lines, section, [f"    {key} = {_quoted(value)}" for key, value in lacking.items()])
            made += [f"{section}.{key}" for key in lacking]
    if made:
        write_text(path, "\n".join(lines) + "\n")
    return made


def _insert(lines: list[str], section: str, settings: list[str]) -> None:
    """Put settings at the end of their section, made where it lacks; no line that is there changes."""
    headers = [index for index, line in enumerate(lines) if line.strip().startswith("[")]
    names = {lines[index].split("]", maxsplit=1)[0].strip().lstrip("[").strip("'"): index for index in headers}
    if section not in names:
        lines += [f"['{section}']" if '"' in section else f"[{section}]", *settings]
        return
    end = next((index for index in headers if index > names[section]), len(lines))
    while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
        end -= 1  # a comment there speaks of the next section
    lines[end:end] = settings


def _quoted(value: str) -> str:
    return f'"{value}"' if set(value) & set(",#'") else value


def _config(root: Path) -> Any:
    from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped,unused-ignore]

    try:
        return ConfigObj(str(root / ".dvc" / "config"), encoding="utf-8", write_empty_values=True)
    except (ConfigObjError, UnicodeDecodeError) as error:
        raise damaged_settings(str(error)) from error


def set_local(project: Project, section: str, key: str, value: str) -> None:
    """Write a setting of this clone alone, into ``.dvc/config.local``."""
    from configobj import ConfigObj

    config = ConfigObj(str(project.dvc_dir / "config.local"), encoding="utf-8")
    config.setdefault(section, {})[key] = value
    config.write()
