"""What DVC's settings say of remotes, read as text: importing DVC costs half a second."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import Code, ProjectError, UsageError, suggest
from emdvc.formats import sidecar as sidecars
from emdvc.history.cache_place import Remember, anew, resolved, settings
from emdvc.history.project import Project
from emdvc.history.storage.contract import PATIENCE, RemoteSettings

#: Where emdvc's own settings of remotes stand, under ``remotes:``; DVC accepts none in its files that it does not know.
CONFIG = PurePosixPath(".emdvc/config.yaml")
#: Overrides the patience of all remotes, in seconds.
PATIENCE_VARIABLE = "EMDVC_PATIENCE"


def remote_names(project: Project, remember: Remember = anew) -> list[str]:
    """Return the names of all remotes that are set, in sorted order."""
    return sorted(_sections(project, remember)[1])


def default_name(project: Project, remember: Remember = anew) -> str | None:
    """Return the name of the default remote; None where none is set."""
    return _sections(project, remember)[0]


def remote_settings(project: Project, name: str | None = None, remember: Remember = anew) -> RemoteSettings:
    """Return what is set of a remote, all levels together.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote; None for the default one.

    Raises
    ------
    ProjectError
        There is no such remote, or no default one; DVC's settings are damaged.
    """
    default, sections = _sections(project, remember)
    wanted = (name or default or "").lower()
    if not wanted:
        hint = "emdvc remote add lab /path/or/s3://bucket"
        raise ProjectError("the project has no remote for its data", code=Code.REMOTE, hint=hint)
    values = sections.get(wanted)
    if values is None or not values.get("url"):
        near = suggest(wanted, list(sections))
        raise ProjectError(
            f"there is no remote {wanted}",
            code=Code.REMOTE,
            evidence=f"the remotes are: {', '.join(sorted(sections)) or 'none'}",
            hint=f"did you mean {near}?" if near else f"emdvc remote add {wanted} /path/or/s3://bucket",
        )
    options = {key: str(value) for key, value in values.items() if key != "url"}
    return RemoteSettings(wanted, str(values["url"]), options, patience(project))


def own_settings(project: Project) -> dict[str, Any]:
    """Return what ``.emdvc/config.yaml`` says under ``remotes``: ``raw``, ``results``, ``patience``.

    Raises
    ------
    MetadataError
        The file is no YAML.
    """
    path = project.path(CONFIG)
    content = sidecars.load_yaml(path.read_text(encoding="utf-8"), str(CONFIG)) if path.is_file() else None
    found = content.get("remotes") if isinstance(content, dict) else None
    return dict(found) if isinstance(found, dict) else {}


def patience(project: Project) -> float:
    """Return after how many seconds without a byte a server counts as silent.

    Raises
    ------
    UsageError
        What is set is no number of seconds.
    """
    text = os.environ.get(PATIENCE_VARIABLE) or own_settings(project).get("patience")
    if text is None:
        return PATIENCE
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise UsageError(
            "the patience with remotes is a number of seconds",
            evidence=f"it is set to {text!r}",
            hint=f"set {PATIENCE_VARIABLE}=60, or `remotes: {{patience: 60}}` in {CONFIG}",
        )
    return seconds


def _sections(project: Project, remember: Remember) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """Return the default remote and, by name, what is set of each remote."""
    default: str | None = None
    merged: dict[str, dict[str, Any]] = {}
    for file, content in settings(project, remember):
        default = (content.get("core") or {}).get("remote") or default
        for section, values in content.items():
            if section.startswith('remote "') and isinstance(values, dict):
                said = dict(values)
                for key in ("url", "keyfile", "credentialpath", "configpath", "cert_path", "key_path", "ssl_verify"):
                    if key in said and not _is_flag(said[key]):
                        said[key] = resolved(str(said[key]), file)
                merged.setdefault(section.removeprefix('remote "').rstrip('"').lower(), {}).update(said)
    for name, values in merged.items():
        values["url"] = _followed(name, merged)
    return (str(default).lower() if default else None), merged


def _is_flag(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "false", "yes", "no", "1", "0", "on", "off")


def _followed(name: str, sections: dict[str, dict[str, Any]]) -> str:
    """Return a remote's URL; ``remote://other/folder`` is a folder of another remote."""
    url, seen = str(sections[name].get("url") or ""), {name}
    while url.startswith("remote://"):
        other, _, rest = url.removeprefix("remote://").partition("/")
        base = sections.get(other.lower())
        if base is None or other.lower() in seen:
            return url
        seen.add(other.lower())
        for key, value in base.items():
            sections[name].setdefault(key, value)
        url = str(base.get("url") or "").rstrip("/") + (f"/{rest}" if rest else "")
    return url
