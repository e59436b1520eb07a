"""Where DVC keeps its cache, from its settings read as text: importing DVC for that costs half a second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from emdvc.history.dvc_errors import damaged_settings
from emdvc.history.project import Project


def cache_folder(project: Project) -> Path:
    """Return the folder of the local cache's objects, which a project may share with others.

    Raises
    ------
    ProjectError
        DVC's settings are damaged.
    """
    folder = project.dvc_dir / "cache"
    for file in _setting_files(project):
        said = _section(file, "cache").get("dir")
        if said:
            # as DVC has it: relative to the file that says so
            folder = Path(os.path.abspath(file.parent / Path(str(said)).expanduser()))  # noqa: PTH100
    return folder / "files" / "md5"


def object_path(cache: Path, md5: str) -> Path:
    """Return where the cache keeps an object, whether it is there or not."""
    return cache / md5[:2] / md5[2:]


def _setting_files(project: Project) -> list[Path]:
    """Return DVC's files of settings that are there, the weakest first."""
    import platformdirs

    places = [
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative")) / "config",
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative")) / "config",
        project.dvc_dir / "config",
        project.dvc_dir / "config.local",
    ]
    return [place for place in places if place.is_file()]


def _section(file: Path, name: str) -> dict[str, Any]:
    from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped,unused-ignore]

    try:
        content = ConfigObj(str(file), encoding="utf-8")
    except (ConfigObjError, UnicodeDecodeError) as error:
        raise damaged_settings(str(error)) from error
    return dict(content.get(name) or {})
