"""What the dvc.yaml beside a dvc.lock says of its stages while both are merged."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.history.merging.contract import Place, Side
from emdvc.history.recorded import stage_address
from emdvc.history.stages import paths_of


class PipelineBeside:
    """The dvc.yaml beside a dvc.lock, on both sides; parsed only where it is asked.

    Parameters
    ----------
    folder
        Of both, relative to the project.
    texts
        The dvc.yaml here and there; None where it is not there, or where git does not tell which commits are merged.
    """

    def __init__(self, folder: PurePosixPath, texts: Sequence[str | None]) -> None:
        self._shown = folder
        self._known = None not in texts
        self._texts = [text for text in texts if text is not None]

    @classmethod
    def of(cls, lock: PurePosixPath, place: Place) -> PipelineBeside:
        """Return that of a dvc.lock, whose path is relative to the git root."""
        found = [place.blob(side, lock.with_name("dvc.yaml")) for side in (Side.OURS, Side.THEIRS)]
        texts = [None if blob is None else blob.decode("utf-8", "replace") for blob in found]
        return cls(in_project(lock.parent, place), texts)

    def declares(self, name: str) -> bool:
        """Say whether both sides' dvc.yaml have the stage; yes where git does not tell which commits are merged."""
        return not self._known or all(name.partition("@")[0] in stages for stages in self._stages)

    def address(self, name: str) -> str:
        """Return the stage as DVC speaks of it from the project's folder."""
        return stage_address(name, self._shown)

    def repro(self, names: Iterable[str], known: Iterable[str]) -> str:
        """Return what is to be typed, after a colon; nothing where a side has no such stage any more."""
        declared = set(known)
        words = [self.address(name) for name in names if name in declared]
        return f": dvc repro {' '.join(words)}" if words else ""

    @cached_property
    def wdirs(self) -> dict[str, PurePosixPath]:
        """The stages that run in a folder of their own, and that folder, relative to dvc.yaml."""
        found = {}
        if any("wdir:" in text for text in self._texts):
            for stages in self._stages:
                for name, said in stages.items():
                    body = said["do"] if isinstance(said.get("do"), dict) else said
                    wdir = str(body.get("wdir") or ".")
                    if wdir != "." and "${" not in wdir:
                        found[name] = PurePosixPath(wdir)
        return found

    @cached_property
    def _stages(self) -> list[dict[str, dict[str, Any]]]:
        return [_stages(text) for text in self._texts]


def declared(text: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield each output that a dvc.yaml declares, relative to its folder, and its stage; a ``${...}`` fits any text."""
    for name, said in _stages(text).items():
        body = said["do"] if isinstance(said.get("do"), dict) else said
        folder = PurePosixPath(str(body.get("wdir") or "."))
        for kind in ("outs", "metrics", "plots"):
            for path in paths_of(body.get(kind)):
                whole = posixpath.normpath((folder / path).as_posix())
                yield name, re.compile(".*".join(map(re.escape, re.split(r"\$\{.*?\}", whole))))


def in_project(folder: PurePosixPath, place: Place) -> PurePosixPath:
    """Return a folder, relative to the git root, as the project speaks of it."""
    prefix = place.project.prefix
    return folder.relative_to(prefix) if folder.is_relative_to(prefix) else folder


def _stages(text: str) -> dict[str, dict[str, Any]]:
    try:
        content = sidecars.load_yaml(text, "dvc.yaml")
    except MetadataError:  # its own merge says what is wrong with it
        return {}
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {str(name): said for name, said in stages.items() if isinstance(said, dict)}
