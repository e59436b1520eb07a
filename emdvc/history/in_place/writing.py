"""What is written for data that is recorded at its source: the pointer, the sidecar, the list of its files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.formats.digest import listing_sha256
from emdvc.history import blocks, git
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.in_place.finished import Sums
from emdvc.history.in_place.place import Place
from emdvc.history.journal import Journal
from emdvc.history.project import Project
from emdvc.history.remotes import routing
from emdvc.history.storage.contract import Stat
from emdvc.history.transfer.fetching import keep
from emdvc.history.yaml_files import YamlFile
from emdvc.model.sidecar import Sidecar


def md5_of(sums: Mapping[str, Sums]) -> tuple[str, bytes | None]:
    """Return the md5 of a dataset, and the list of a directory's files, both as DVC has them."""
    if "" in sums:
        return sums[""].md5, None
    # as emdvc.history.workspace.hashing.directory_md5, whose text is what DVC keeps
    entries = [{"md5": sums[file].md5, "relpath": file} for file in sorted(sums)]
    content = json.dumps(entries).encode()
    return f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}.dir", content


def entry_of(target: Path, files: Mapping[str, Stat], sums: Mapping[str, Sums]) -> dict[str, Any]:
    """Return what the sidecar says of the bytes, as for data that was copied here."""
    total: dict[str, Any] = {"path": target.name, "size": sum(stat.size for stat in files.values())}
    if "" in files:
        return total | {"sha256": sums[""].sha256}
    digest = listing_sha256({file: sums[file].sha256 for file in files})
    return total | {"sha256": digest, "files": len(files)}


def source_said(place: Place, listing: str) -> dict[str, str]:
    """Return what the ``.dvc`` file says of the source: where, since when, and the digest of its listing."""
    return {"url": place.url, "recorded": datetime.now(UTC).isoformat(timespec="seconds"), "listing": listing}


def commit(
    project: Project,
    journal: Journal,
    target: Path,
    sidecar: Sidecar,
    out: dict[str, Any],
    content: bytes | None,
    source: Mapping[str, str],
    ranges: blocks.Ranges,
) -> None:
    """Write everything within a transaction; git is told of it.

    Parameters
    ----------
    project, journal, target
        The project, the journal of the transaction, and the dataset's place.
    sidecar
        Its sidecar.
    out
        What the ``.dvc`` file says of the data.
    content
        The list of a directory's files, for the cache; None for a single file.
    source
        What the ``.dvc`` file says of the source.
    ranges
        What is known of large files.
    """
    pointer, ignore = target.with_name(target.name + ".dvc"), target.parent / ".gitignore"
    touched = [pointer, ignore, sidecars.path_of(target)]
    for path in touched:
        journal.will_change(path)
    journal.will_stage(touched)
    target.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        _into_cache(project, str(out["md5"]), content)
    remote = routing.remote_of_pointer(project, project.relative(pointer))
    file = YamlFile(pointer)
    file.content["outs"] = [out]
    file.content.setdefault("meta", {})["emdvc_source"] = dict(source)
    file.write()
    routing.lead_pointer(project, project.relative(pointer), remote)
    blocks.write(pointer, ranges)
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    if f"/{target.name}" not in lines:  # a copy that is pulled some day is none of git's
        sidecars.write_text(ignore, "\n".join([*lines, f"/{target.name}"]) + "\n")
    sidecars.write(target, sidecar)
    git.add([path.relative_to(project.git_root).as_posix() for path in touched], project.git_root)


def _into_cache(project: Project, md5: str, content: bytes) -> None:
    kept = object_path(cache_folder(project), md5)
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        passing = kept.with_name(f".{kept.name}.{os.getpid()}.tmp")
        passing.write_bytes(content)
        keep(passing, kept)
