"""Which remote new data goes to: raw data to one, results to another, where the project says so."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Literal

from emdvc.history.journal import Journal
from emdvc.history.project import Project
from emdvc.history.storage.settings import own_settings
from emdvc.history.yaml_files import YamlFile, flow, read

Route = Literal["raw", "results"]


def routes(project: Project) -> dict[Route, str]:
    """Return the remotes of raw data and of results, as far as the project names them."""
    own = own_settings(project)
    kinds: tuple[Route, Route] = ("raw", "results")
    return {kind: str(own[kind]).lower() for kind in kinds if own.get(kind)}


def remote_for(project: Project, raw: bool) -> str | None:
    """Return the remote that is named with new data; None for the default one.

    Parameters
    ----------
    project
        The project.
    raw
        Whether it is raw data, else the output of a stage.
    """
    return routes(project).get("raw" if raw else "results")


def datasets_on(project: Project, name: str) -> list[PurePosixPath]:
    """Return the datasets of the workspace's version whose own entry names a remote."""
    from emdvc.history.recorded import recorded
    from emdvc.history.snapshot import Snapshot

    with Snapshot(project) as snapshot:
        return sorted(path for path, entry in recorded(snapshot).items() if (entry.remote or "").lower() == name)


def lead_existing(project: Project, journal: Journal, name: str, raw: bool) -> list[PurePosixPath]:
    """Name a remote in the entries of data that is there already, and return the files that were written.

    Nothing is sent; ``emdvc push`` then brings there what that remote lacks.

    Parameters
    ----------
    project, journal
        The project, and the journal of the command.
    name
        Of the remote.
    raw
        Whether the ``.dvc`` files of raw data are meant, else the outputs of stages.
    """
    from emdvc.history.snapshot import Snapshot

    with Snapshot(project) as snapshot:
        files = [
            file
            for file in snapshot.files()
            if (file.suffix == ".dvc" and file.name != ".dvc" if raw else file.name == "dvc.yaml")
            and project.path(file).is_file()
        ]
    written = []
    for file in files:
        yaml = YamlFile(project.path(file))
        if _lead_pointer(yaml.content, name) if raw else _lead_stages(yaml.content, name):
            journal.will_change(yaml.path)
            yaml.write()
            written.append(file)
    return written


def lead_pointer(project: Project, pointer: PurePosixPath, name: str | None) -> None:
    """Name a remote in one ``.dvc`` file; None leaves it as it is."""
    if name is None:
        return
    yaml = YamlFile(project.path(pointer))
    if _lead_pointer(yaml.content, name):
        yaml.write()


def remote_of_pointer(project: Project, pointer: PurePosixPath) -> str | None:
    """Return the remote that a ``.dvc`` file is to name: as it does now, else that of raw data; None: none."""
    outs = read(project.path(pointer)).get("outs") or [{}]
    named = outs[0].get("remote")
    return str(named) if named else remote_for(project, raw=True)


def lead_out(entry: Any, name: str) -> Any:
    """Return an entry of ``outs`` in dvc.yaml with a remote named in it."""
    if not isinstance(entry, dict):
        return flow({str(entry): {"remote": name}})
    for path, said in entry.items():
        if isinstance(said, dict):
            said["remote"] = name
        else:
            entry[path] = flow({"remote": name})
    return entry


def _lead_pointer(content: Any, name: str) -> bool:
    changed = False
    if content.get("deps"):  # data that is imported stays where it comes from
        return False
    for out in content.get("outs") or []:
        if out.get("remote") != name:
            out["remote"], changed = name, True
    return changed


def _lead_stages(content: Any, name: str) -> bool:
    changed = False
    for stage in (content.get("stages") or {}).values():
        outs = (stage.get("do", stage) if isinstance(stage, dict) else {}).get("outs") or []
        for index, entry in enumerate(outs):
            if name != _remote_of(entry) and not _uncached(entry):
                outs[index], changed = lead_out(entry, name), True
    return changed


def _settings_of(entry: Any) -> dict[str, Any]:
    said = next(iter(entry.values()), None) if isinstance(entry, dict) else None
    return said if isinstance(said, dict) else {}


def _remote_of(entry: Any) -> Any:
    return _settings_of(entry).get("remote")


def _uncached(entry: Any) -> bool:
    return _settings_of(entry).get("cache") is False
