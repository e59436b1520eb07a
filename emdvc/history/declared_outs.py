"""The outputs that dvc.yaml declares with settings of their own, at any revision: remote, whether they are cached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history.snapshot import Snapshot


def declared(snapshot: Snapshot) -> Iterator[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the outputs of every dvc.yaml that are declared with settings; a ``${...}`` in a path fits any text.

    Raises
    ------
    MetadataError
        A dvc.yaml is no YAML.
    """
    for file in snapshot.files():
        if file.name == "dvc.yaml":
            yield from declared_in(snapshot, file)


def declared_in(snapshot: Snapshot, file: PurePosixPath) -> Iterator[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the outputs of one dvc.yaml as :func:`declared` does."""
    text = snapshot.text(file)
    content = sidecars.load_yaml(text, str(file)) if text else None
    stages = content.get("stages") if isinstance(content, dict) else None
    for stage in (stages or {}).values():
        body = stage.get("do", stage) if isinstance(stage, dict) else {}
        for kind in ("outs", "metrics", "plots"):
            for entry in body.get(kind) or []:
                for path, said in entry.items() if isinstance(entry, dict) else ():
                    if isinstance(said, dict):
                        yield _pattern((file.parent / (body.get("wdir") or ".") / str(path)).as_posix()), said


def remotes_in(snapshot: Snapshot, file: PurePosixPath) -> list[tuple[re.Pattern[str], str]]:
    """Return the outputs of one dvc.yaml that name a remote; most files name none, and are not parsed for it."""
    if "remote:" not in (snapshot.text(file) or ""):
        return []
    return [(pattern, str(said["remote"])) for pattern, said in declared_in(snapshot, file) if said.get("remote")]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\$\{.*?\}", path)))
