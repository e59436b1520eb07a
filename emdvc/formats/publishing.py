"""A Zarr store, its picture and its sidecar, written aside under ``*.partial`` names and put in place at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emdvc.formats import sidecar as sidecars
from emdvc.formats.file_names import picture_path
from emdvc.model.sidecar import Sidecar


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield where to write a store that shall lie at `path`; what is not published is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_partials(path)
    try:
        yield _partial(path)
    finally:
        clear_partials(path, own=True)


def publish(path: Path, sidecar: Sidecar, picture: bytes | None) -> None:
    """Put a store that was written, its sidecar and its picture in place of what was there before.

    Only names change. The old sidecar goes first and the new one comes last: a kill in between leaves a store that is
    no dataset yet, never new numbers under an old description.
    """
    image, text = picture_path(path), sidecars.path_of(path)
    _partial(text).write_bytes(sidecars.dump_yaml(sidecar.to_dict()).encode("utf-8"))
    if picture is not None:
        _partial(image).write_bytes(picture)
    text.unlink(missing_ok=True)
    if path.exists():
        path.replace(_partial(path, "old."))
    _partial(path).replace(path)
    if picture is not None:
        _partial(image).replace(image)
    _partial(text).replace(text)


def clear_partials(path: Path, *, own: bool = False) -> None:
    """Remove what killed runs left of a result; with `own`, what this process left."""
    for name in (path.name, picture_path(path).name, sidecars.path_of(path).name):
        for partial in path.parent.glob(f".{name}.*.partial"):
            parts = partial.name.removeprefix(f".{name}.").split(".")
            if not parts[0].isdigit() or (int(parts[0]) == os.getpid()) != own or (not own and _alive(int(parts[0]))):
                continue
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


def _partial(path: Path, mark: str = "") -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{mark}partial")


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there is no harmless signal 0 on Windows: leave what may still be written
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
