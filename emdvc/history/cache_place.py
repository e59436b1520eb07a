"""Where DVC keeps its cache and its remotes, from its settings read as text: importing DVC costs half a second."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emdvc.history.dvc_errors import damaged_settings
from emdvc.history.project import Project, main_root

#: Gives what a text of some kind holds, by a parser for it; may remember what it was.
Remember = Callable[[str, str, Callable[[str], Any]], Any]


def anew(kind: str, text: str, parse: Callable[[str], Any]) -> Any:
    """Return what a text holds, without remembering anything."""
    return parse(text)


def cache_folder(project: Project, remember: Remember = anew) -> Path:
    """Return the folder of the local cache's objects, which a project may share with others.

    Parameters
    ----------
    remember
        Parses settings, or remembers them.

    Raises
    ------
    ProjectError
        DVC's settings are damaged.
    """
    folder = project.dvc_dir / "cache"
    for file, content in settings(project, remember):
        said = (content.get("cache") or {}).get("dir")
        if said:
            folder = Path(resolved(str(said), file))
    return folder / "files" / "md5"


def object_path(cache: Path, md5: str) -> Path:
    """Return where the cache keeps an object, whether it is there or not."""
    return cache / md5[:2] / md5[2:]


def settings(project: Project, remember: Remember = anew) -> list[tuple[Path, dict[str, Any]]]:
    """Return DVC's files of settings with what they say, the weakest first.

    Raises
    ------
    ProjectError
        One is damaged.
    """
    found = []
    for file in _setting_files(project, remember):
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError as error:
            raise damaged_settings(str(error)) from error
        found.append((file, remember("settings", text, parsed)))
    return found


def parsed(text: str) -> dict[str, Any]:
    """Return what a text of settings holds: section -> name -> value, names in small letters as DVC takes them.

    Raises
    ------
    ProjectError
        It is damaged.
    """
    from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped,unused-ignore]

    try:
        return _lowered(ConfigObj(text.splitlines()))
    except ConfigObjError as error:
        raise damaged_settings(str(error)) from error


def resolved(place: str, file: Path) -> str:
    """Return a place that a file of settings names: a URL as it is, a folder relative to that file."""
    expanded = os.path.expanduser(place)  # noqa: PTH111
    if re.match(r"\w+://", place) or os.path.isabs(place):  # noqa: PTH117
        return place
    # an experiment's own folder has copies of the files, which speak of places as seen from the project
    root = main_root(file.parent.parent)
    folder = file.parent if root == file.parent.parent else root / ".dvc"
    return os.path.abspath(os.path.join(folder, expanded))  # noqa: PTH100, PTH118


def _lowered(mapping: Any) -> dict[str, Any]:
    return {str(key).lower(): _lowered(value) if isinstance(value, dict) else value for key, value in mapping.items()}


def _setting_files(project: Project, remember: Remember) -> list[Path]:
    """Return where DVC's settings may lie, the weakest first."""
    system, user = (os.environ.get(f"DVC_{level}_CONFIG_DIR") for level in ("SYSTEM", "GLOBAL"))
    if not (system and user):
        # what the folders depend on
        known_by = "\n".join([sys.platform, *(f"{name}={os.environ.get(name)}" for name in _PLACED_BY)])
        places = remember("places", known_by, _places)
        system, user = system or places[0], user or places[1]
    folders = (Path(system), Path(user), project.dvc_dir)
    return [*(folder / "config" for folder in folders), project.dvc_dir / "config.local"]


_PLACED_BY = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")


def _places(_: str) -> list[str]:
    import platformdirs

    return [platformdirs.site_config_dir("dvc", "iterative"), platformdirs.user_config_dir("dvc", "iterative")]
