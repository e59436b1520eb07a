"""``emdvc remote add``: where data is shared, written as plain DVC settings; what only emdvc knows, into its own file.

Everything that can be wrong is found before a file is touched. What every clone needs goes to ``.dvc/config``, which is
committed; secrets, and what differs from person to person, to ``.dvc/config.local``, which is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, ConflictError, ProjectError, UsageError, suggest
from emdvc.history import git
from emdvc.history.journal import transaction
from emdvc.history.project import Project
from emdvc.history.remotes import profiles, routing
from emdvc.history.remotes.kinds import S3, SECRETS, Kind
from emdvc.history.remotes.url import RemoteUrl
from emdvc.history.settings_file import SettingsFile
from emdvc.history.storage.settings import CONFIG, default_name
from emdvc.history.yaml_files import YamlFile, flow, plain

SHARED, LOCAL = PurePosixPath(".dvc/config"), PurePosixPath(".dvc/config.local")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for.

    Parameters
    ----------
    profile
        Name of one of the profiles; None: as it is, at first ``facility``.
    routes
        What it becomes the remote of: ``raw``, ``results``.
    default
        Whether it becomes the default remote; None: only where there is none.
    settings
        Settings of DVC, none of them secret.
    secrets
        Settings of DVC that nobody else may read.
    lock_days, read_only
        As in the profile; None: as it is.
    existing
        Whether data that is there already is led to it, too.
    force
        Whether it may take the place of a remote of the same name that is elsewhere.
    """

    profile: str | None = None
    routes: tuple[routing.Route, ...] = ()
    default: bool | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    lock_days: int | None = None
    read_only: bool | None = None
    existing: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written for a remote; every check has been made.

    Parameters
    ----------
    remote
        Name and URL.
    fresh
        Whether what stands under its name goes first: it was another place.
    shared, local
        Settings for the file that is committed, and for the one that is not.
    own
        emdvc's own settings of it; empty where there are none.
    routes
        What it becomes the remote of.
    default
        Whether it becomes the default remote.
    existing
        Whether data that is there already is led to it.
    notes
        What a person should know.
    """

    remote: RemoteUrl
    fresh: bool
    shared: dict[str, str]
    local: dict[str, str]
    own: dict[str, Any]
    routes: tuple[routing.Route, ...]
    default: bool
    existing: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, or would be.

    Parameters
    ----------
    remote
        Name and URL.
    changes
        What differs from before, in words; no secret is in them.
    led
        Files in which data that was there is led to the remote.
    notes
        What a person should know.
    """

    remote: RemoteUrl
    changes: tuple[str, ...]
    led: tuple[PurePosixPath, ...]
    notes: tuple[str, ...]


def plan(root: Path, remote: RemoteUrl, wish: Wish | None = None) -> Plan:
    """Return what will be written for a remote.

    Parameters
    ----------
    root
        The project's root, which need not be there yet.
    remote
        Name and URL.
    wish
        What else is asked for.

    Raises
    ------
    UsageError
        A setting that DVC does not know for this kind, a secret that was typed, a profile that does not fit.
    ConflictError
        A remote with that name is elsewhere.
    """
    wish = wish or Wish()
    project = Project(root, root)
    there = SettingsFile(root / SHARED).get(remote.section)
    fresh = _refuse_elsewhere(remote, there, wish.force)
    if fresh:
        there = {}
    _check_settings(remote.kind, remote.name, wish.settings)
    settings = {key: value for key, value in remote.kind.settings.items() if key not in there} | dict(wish.settings)
    own = _own(project, remote, wish, fresh)
    default = default_name(project) if root.exists() else None
    becomes = wish.default if wish.default is not None else default is None
    notes = _notes(remote, wish, default, becomes)
    personal = {key: value for key, value in settings.items() if key in remote.kind.personal}
    return Plan(
        remote,
        fresh,
        {"url": remote.url} | {key: value for key, value in settings.items() if key not in personal},
        personal | dict(wish.secrets),
        own,
        wish.routes,
        becomes,
        wish.existing,
        notes,
    )


def apply(project: Project, wanted: Plan, *, dry_run: bool = False) -> Written:
    """Write what was planned, completely or not at all, and tell git of what is committed.

    Raises
    ------
    ConflictError
        The file for secrets is one that git tracks.
    ProjectError
        A file of settings is damaged.
    """
    shared, local = SettingsFile(project.root / SHARED), SettingsFile(project.root / LOCAL)
    for value in (*wanted.shared.values(), *wanted.local.values()):
        _check_text(value)
    if wanted.local:
        _refuse_tracked(project)
    changes = _edit(shared, local, wanted)
    own = YamlFile(project.path(CONFIG))
    said = _edit_own(own, wanted)
    changes += said
    if dry_run:
        led = [PurePosixPath(f"{one} of the data that is there") for one in wanted.routes if wanted.existing]
        return Written(wanted.remote, tuple(changes), tuple(led), wanted.notes)
    if not (changes or wanted.existing):
        return Written(wanted.remote, (), (), wanted.notes)
    led = []
    with transaction(project, f"emdvc remote add {wanted.remote.name}") as journal:
        for file in (shared, local):
            if file.changed:
                journal.will_change(file.path)
                file.write(private=file is local)
        if said:
            journal.will_change(own.path)
            own.path.parent.mkdir(exist_ok=True)
            own.write()
        if wanted.existing:
            for route in wanted.routes:
                led += routing.lead_existing(project, journal, wanted.remote.name, route == "raw")
        touched = [SHARED, *([CONFIG] if said else []), *led]
        journal.will_stage([project.path(path) for path in touched])
        git.add([project.in_git(path) for path in touched], project.git_root)
    return Written(wanted.remote, tuple(changes), tuple(led), wanted.notes)


def _refuse_elsewhere(remote: RemoteUrl, there: Mapping[str, str], force: bool) -> bool:
    """Refuse to move a remote unasked; say whether it is moved."""
    url = there.get("url")
    if url is None or url.rstrip("/") == remote.url.rstrip("/"):
        return False
    if not force:
        raise ConflictError(
            f"the remote {remote.name} is another place already",
            code=Code.REMOTE,
            evidence=f"it is {url}",
            hint=f"emdvc remote add {remote.name} {remote.typed} --force: nothing is moved, and what is only at the "
            "old place is missing until it is pushed again; or give another name",
        )
    return True


def _check_settings(kind: Kind, name: str, settings: Mapping[str, str]) -> None:
    known = kind.knows()
    for key in settings:
        if key in SECRETS:
            raise UsageError(
                f"{key} is a secret: everybody on this machine could read it in the list of processes",
                hint=f"emdvc remote add {name} URL --ask-password, or --password-stdin",
            )
        if key not in known:
            near = suggest(key, sorted(known))
            raise UsageError(
                f"DVC has no setting '{key}' for {kind.name} remotes",
                evidence=f"it has {', '.join(sorted(known - kind.secrets))}",
                hint=f"did you mean {near}?" if near else None,
            )


def _check_text(value: str) -> None:
    if re.search(r"%\(.*?\)s|[\r\n]", value):
        raise UsageError("DVC's settings cannot hold a line break, or %(...)s", hint="another password, or a token")


def _own(project: Project, remote: RemoteUrl, wish: Wish, fresh: bool) -> dict[str, Any]:
    """Return what emdvc's settings say of the remote; what is usual is not written."""
    have = {} if fresh or not project.root.exists() else _said_of(project, remote.name)
    said = {
        "profile": wish.profile or have.get("profile") or profiles.USUAL,
        "lock_days": wish.lock_days if wish.lock_days is not None else have.get("lock_days"),
        "read_only": wish.read_only if wish.read_only is not None else have.get("read_only"),
    }
    if wish.lock_days is None and said["profile"] != have.get("profile"):
        said["lock_days"] = None
    found = profiles.from_settings(said)
    if "raw" in wish.routes and not found.keeps_raw:
        raise UsageError(
            f"raw data does not belong on a {found.name} remote: what lies there may be cleaned away",
            hint="--results, or --profile archive",
        )
    if wish.routes and (found.read_only or not remote.kind.writes):
        raise UsageError(f"nothing can be sent to {remote.name}: it is read-only", hint="leave out --raw and --results")
    if found.lock_days and remote.kind is not S3:
        raise UsageError(f"objects are locked by S3 services only; {remote.name} is a {remote.kind.name} remote")
    said["profile"] = None if said["profile"] == profiles.USUAL else said["profile"]
    return {key: value for key, value in said.items() if value is not None and value is not False}


def _said_of(project: Project, name: str) -> dict[str, Any]:
    content = YamlFile(project.path(CONFIG)).content
    found = ((content.get("remotes") or {}).get("profiles") or {}).get(name)
    return plain(found) if isinstance(found, dict) else {"profile": found}


def _notes(remote: RemoteUrl, wish: Wish, default: str | None, becomes: bool) -> tuple[str, ...]:
    notes = []
    if not becomes and default != remote.name and not wish.routes:
        notes.append(f"{default} stays the default remote; to change it: emdvc remote add {remote.name} URL --default")
    if remote.kind.name == "folder" and len(remote.url) > 1 and remote.url[1] == ":":
        notes.append(
            "a drive letter may be another one on your colleague's machine: \\\\server\\share is the same for all"
        )
    if remote.url.startswith(("http://", "webdav://")) and "user" in wish.settings:
        notes.append("the password crosses the network unencrypted: use https:// or webdavs:// where there is one")
    return tuple(notes)


def _refuse_tracked(project: Project) -> None:
    name = project.in_git(LOCAL)
    ignored = git.run(["check-ignore", "-q", "--", name], project.git_root, accept=(0, 1)).returncode == 0
    if not ignored or git.tracked(project.git_root, [f":(literal){name}"]):
        raise ConflictError(
            f"git does not ignore {LOCAL}: what is personal or secret would be committed",
            code=Code.PROJECT_BROKEN,
            hint="emdvc init" if not ignored else f"git rm --cached {name}",
        )


def _edit(shared: SettingsFile, local: SettingsFile, wanted: Plan) -> list[str]:
    """Edit both files, unwritten yet, and return what differs in words."""
    remote, changes = wanted.remote, []
    if wanted.fresh:
        changes.append(f"no longer {shared.get(remote.section).get('url')}; its settings and secrets are gone")
        shared.drop(remote.section)
        local.drop(remote.section)
    for key in shared.put(remote.section, wanted.shared):
        changes.append(f"{key} = {wanted.shared[key]}")
    for key in local.put(remote.section, wanted.local) if wanted.local else ():
        changes.append(f"{key} set in {LOCAL}, which is not committed")
    if wanted.default and shared.put("core", {"remote": remote.name}):
        changes.append("the default remote")
    return changes


def _edit_own(own: YamlFile, wanted: Plan) -> list[str]:
    content, name, changes = own.content, wanted.remote.name, []
    section = content.get("remotes")
    if section is not None and not isinstance(section, dict):
        raise ProjectError(f"remotes in {CONFIG} is no mapping", code=Code.PROJECT_BROKEN, hint=f"edit {CONFIG}")
    have = plain(section or {})
    said = (have.get("profiles") or {}).get(name)
    if said != (wanted.own or None):
        section = content.setdefault("remotes", {})
        if wanted.own:
            section.setdefault("profiles", {})[name] = flow(wanted.own)
        elif section.get("profiles"):
            section["profiles"].pop(name, None)
            if not section["profiles"]:
                del section["profiles"]
        changes.append(", ".join(f"{key} {value}" for key, value in wanted.own.items()) or "profile facility")
    for route in wanted.routes:
        if have.get(route) != name:
            content.setdefault("remotes", {})[route] = name
            changes.append(f"the remote of {'raw data' if route == 'raw' else route}")
    if "remotes" in content and not content["remotes"]:
        del content["remotes"]
    return changes
