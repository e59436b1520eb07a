"""What a remote behind a server lacks, asked of the server itself and not of what was once remembered of it."""

from __future__ import annotations

from collections.abc import Iterable

from emdvc.history.project import Project
from emdvc.history.workspace.cache_presence import CachePresence
from emdvc.history.workspace.pipeline_files import Tracked


def lacking(
    project: Project, name: str, outs: Iterable[Tracked], here: CachePresence
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the datasets that a remote lacks: those that are here, and those that are not here either.

    A directory is taken for complete where its list is there: it is sent last. ``emdvc push`` looks for every file.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote.
    outs
        What belongs there.
    here
        What the cache holds.

    Raises
    ------
    EnvironmentFault
        The remote did not answer.
    """
    from emdvc.history.storage import loop
    from emdvc.history.storage.remote import remote_of

    remote = remote_of(project, name)
    wanted = {out.path: out.md5 for out in outs if out.md5 is not None}
    there = loop.run(remote.there(wanted.values()))
    new, unsure = [], {}
    for path, md5 in wanted.items():
        if md5 in there:
            continue
        if here.holds(md5):
            new.append(path)
        else:
            unsure[path] = (here.files(md5) if md5.endswith(".dir") else None) or {}
    lost = [path for path, files in unsure.items() if not files]
    kept = {path: [md5 for md5 in files.values() if not here.holds_object(md5)] for path, files in unsure.items()}
    found = loop.run(remote.there(md5 for md5s in kept.values() for md5 in md5s)) if any(kept.values()) else {}
    for path, md5s in kept.items():
        if unsure[path]:
            new.append(path)  # its list is here
            if any(md5 not in found for md5 in md5s):
                lost.append(path)
    return tuple(new), tuple(lost)
