"""What follows on a push: the place is told whose the data is, and raw data is locked where that was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from emdvc.errors import EmdvcError
from emdvc.formats.sidecar import write_text
from emdvc.history import dvc_manifest
from emdvc.history.cache_place import cache_folder
from emdvc.history.collecting import projects, repository
from emdvc.history.collecting.place import cache_of, remote_place
from emdvc.history.project import Project
from emdvc.history.remotes import profiles


def after_push(project: Project, name: str, there: Iterable[str], *, sent: bool) -> int:
    """Say on a remote that the project uses it, and lock its raw data there; return how many objects were locked.

    Parameters
    ----------
    name
        Of the remote.
    there
        Objects that lie there whole.
    sent
        Whether any of them is new there.

    Raises
    ------
    EnvironmentFault
        The remote does not lock objects, or does not let us.
    """
    days = profiles.of(project, name).lock_days
    if not sent and not days:
        return 0
    place = remote_place(project, name)
    try:
        digests = repository.recorded(project.git_root, 0)
        if sent:
            # where this fails nothing is in danger: what no project told of is never collected
            with suppress(EmdvcError):
                projects.register(project, place, digests)
        return _lock(project, name, digests.raw, set(there), days) if days else 0
    except repository.ShallowFault:
        return 0  # what the older commits hold is not known here; a whole clone will tell
    finally:
        place.close()


def use_cache(project: Project) -> None:
    """Say in a cache that several projects share that this one uses it; nothing where the cache is its own."""
    place = cache_of(project)
    if not place.shared:
        return
    with suppress(EmdvcError, OSError):  # what no project told of is never collected from a shared cache
        projects.register(project, place)


def _lock(project: Project, name: str, raw: set[str], there: set[str], days: int) -> int:
    from emdvc.history.raw.object_lock import lock

    cache = cache_folder(project)
    every = set(raw)
    for digest in raw:
        every.update((dvc_manifest.manifest(cache, digest) or {}).values())
    file = project.journal_dir / "locked" / f"{name}.json"
    now = datetime.now(UTC)
    known = {md5: until for md5, until in _known(file).items() if until > now.isoformat()}
    wanted = sorted(every & there - known.keys())
    if not wanted:
        return 0
    place = remote_place(project, name)
    try:
        count = lock(place.storage(), wanted, days)
    finally:
        place.close()
    until = (now + timedelta(days=days)).isoformat()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(known | dict.fromkeys(wanted, until)) + "\n")
    return count


def _known(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        said = json.loads(file.read_bytes())
        if isinstance(said, dict):
            return {str(md5): str(until) for md5, until in said.items()}
    return {}
