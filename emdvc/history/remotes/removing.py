"""``emdvc remote remove``: a remote leaves the settings; what lies on it stays where it is."""

from __future__ import annotations

from dataclasses import dataclass

from emdvc.errors import Code, ConflictError, DataMissingError, EmdvcError, ProjectError
from emdvc.history import git
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.journal import transaction
from emdvc.history.project import Project
from emdvc.history.remotes import profiles, routing
from emdvc.history.remotes.adding import LOCAL, SHARED
from emdvc.history.remotes.url import section_of
from emdvc.history.settings_file import SettingsFile
from emdvc.history.storage import loop
from emdvc.history.storage.remote import remote_of
from emdvc.history.storage.settings import CONFIG, remote_names, remote_settings
from emdvc.history.yaml_files import YamlFile


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed, or would be.

    Parameters
    ----------
    name, url
        Of the remote.
    changes
        What is gone from the settings, in words.
    """

    name: str
    url: str
    changes: tuple[str, ...]


def remove(project: Project, name: str, *, force: bool = False, dry_run: bool = False) -> Removed:
    """Take a remote out of the project's settings.

    Raises
    ------
    ProjectError
        There is no such remote, or it is not this project that names it.
    ConflictError
        Datasets name it.
    DataMissingError
        Recorded data is there and nowhere else.
    EnvironmentFault
        The remote cannot be asked what is only there.
    """
    settings = remote_settings(project, name)
    name, section = settings.name, section_of(settings.name)
    shared, local = SettingsFile(project.root / SHARED), SettingsFile(project.root / LOCAL)
    if section not in shared.sections and section not in local.sections:
        raise ProjectError(
            f"the remote {name} is set for all your projects, not by this one",
            code=Code.REMOTE,
            hint=f"dvc remote remove --global {name}",
        )
    if not force:
        _refuse_named(project, name)
        _refuse_only_there(project, name)
    changes = [f"the settings of {name}"]
    for file in (shared, local):
        file.drop(section)
        if file.get("core").get("remote", "").lower() == name:
            file.drop("core", "remote")
            changes.append("the default remote")
    own = YamlFile(project.path(CONFIG))
    said = _forget(own, name)
    changes += said
    if not dry_run:
        with transaction(project, f"emdvc remote remove {name}") as journal:
            for file in (shared, local):
                if file.changed:
                    journal.will_change(file.path)
                    file.write(private=file is local)
            if said:
                journal.will_change(own.path)
                own.write()
            touched = [SHARED, *([CONFIG] if said else [])]
            journal.will_stage([project.path(path) for path in touched])
            git.add([project.in_git(path) for path in touched], project.git_root)
    return Removed(name, settings.url, tuple(changes))


def _refuse_named(project: Project, name: str) -> None:
    named = routing.datasets_on(project, name)
    if named:
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        raise ConflictError(
            f"the remote {name} is named for {len(named)} dataset{'s' if len(named) > 1 else ''}",
            code=Code.REMOTE,
            evidence=f"{named[0]}{more}",
            hint="lead them to another one: emdvc remote add OTHER URL --raw --existing, then emdvc push; "
            "or --force, and nobody finds them",
        )


def _refuse_only_there(project: Project, name: str) -> None:
    only = only_on(project, name)
    if only:
        raise DataMissingError(
            f"{len(only)} dataset{'s are' if len(only) > 1 else ' is'} on {name} and nowhere else",
            evidence=f"the first is {only[0]}",
            hint="fetch them first: emdvc pull; or --force, and what lies there stays, but is not looked for",
        )


def only_on(project: Project, name: str) -> list[str]:
    """Return what a remote holds of all branches and tags that neither the cache nor a lasting remote holds.

    Raises
    ------
    EnvironmentFault
        The remote cannot be asked.
    """
    from emdvc.history.verify.wanted_objects import branches_and_tags, wanted

    needed = wanted(project, [None, *branches_and_tags(project)])
    cache = cache_folder(project)
    for md5 in needed.directories():
        path = object_path(cache, md5)
        if path.exists():
            needed.read_list(md5, path.read_bytes())
    objects = [*needed.directories(), *needed.files()]
    lacking = [md5 for md5 in objects if not object_path(cache, md5).exists()]
    if not lacking:
        return []
    there = loop.run(remote_of(project, name).there(lacking))
    for other in remote_names(project):
        if other != name and there and profiles.of(project, other).lasting:
            try:
                for md5 in loop.run(remote_of(project, other).there(there)):
                    del there[md5]
            except EmdvcError:  # what cannot be asked is not counted on
                continue
    uses = needed.uses(set(there))
    return sorted({str(use.out.path) for places in uses.values() for use in places})


def _forget(own: YamlFile, name: str) -> list[str]:
    section = own.content.get("remotes")
    if not isinstance(section, dict):
        return []
    gone = []
    for route in ("raw", "results"):
        if str(section.get(route) or "").lower() == name:
            del section[route]
            gone.append(f"the remote of {'raw data' if route == 'raw' else route}")
    if isinstance(section.get("profiles"), dict) and section["profiles"].pop(name, None) is not None:
        gone.append("its profile")
        if not section["profiles"]:
            del section["profiles"]
    if not section:
        del own.content["remotes"]
    return gone
