"""What a stage gave last time, where most of its input is the same: found in dvc.lock and in DVC's cache.

dvc.lock says which input and which outputs belonged together, DVC's lists of a directory's files say which chunk files
of the input differ, and the cache still holds the outputs. A step whose outputs are computed position by position then
computes only the positions in changed chunks, and takes the others from there. Anything unclear means a full run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.how import Earlier
from emdvc.formats.chunk_files import ChunkFiles
from emdvc.formats.contract import LazyArray, Opened, Region
from emdvc.formats.zarr_keys import keys_of
from emdvc.history import dvc_manifest, dvc_pipeline, yaml_files
from emdvc.history.project import Project
from emdvc.history.running import Run


def earlier(run: Run, opened: Opened, signal: str | None) -> dict[str, Earlier]:
    """Return what the steps of a run gave last time, by their names in the run; empty where that is of no use.

    Parameters
    ----------
    run
        The run. Only one that DVC started is looked at: DVC then has compared the input's files with its list.
    opened, signal
        The input and which of its arrays is read.
    """
    if run.project is None or run.stage is None or "DVC_STAGE" not in os.environ:
        return {}
    array = opened.variable(signal).array
    locked = _locked(run.project, run.stage.name)
    source = str(run.stage.input)
    before, now = locked.get("deps", {}).get(source), _recorded(run.project, run.stage.input)
    if keys_of(array) is None or before is None or now is None or before == now:
        return {}
    if not _only_input_changed(run.project, run.stage.name, source):
        return {}
    cache = dvc_manifest.cache_folder(Project.find(run.project.root))
    lists = [dvc_manifest.manifest(cache, md5) for md5 in (before, now)]
    if lists[0] is None or lists[1] is None:
        return {}
    core = next((one.step.core for one, _ in run.products() if one.source is None), ())
    changed = _changed_positions(array, opened.variable(signal).dims, core, lists[0], lists[1])
    if changed is None:
        return {}

    def touched(region: Region) -> Region | None:
        found = np.argwhere(changed[region])
        if not len(found):
            return None
        low, high = found.min(axis=0).tolist(), found.max(axis=0).tolist()
        return tuple(slice(r.start + a, r.start + b + 1) for r, a, b in zip(region, low, high, strict=True))

    found = {}
    for one, path in run.products():
        md5 = locked.get("outs", {}).get(
            PurePosixPath(os.path.relpath(path, run.project.root).replace(os.sep, "/")).as_posix()
        )
        files = dvc_manifest.manifest(cache, md5) if md5 else None
        arrays = _arrays(cache, files) if files else None
        if one.source is None and arrays:
            found[one.name] = Earlier(arrays, touched)
    return found


def _locked(project: Project, stage: str) -> dict[str, dict[str, str]]:
    """Return path -> md5 of a stage's dependencies and outputs, as dvc.lock has them."""
    entry = (yaml_files.read(project.root / "dvc.lock").get("stages") or {}).get(stage) or {}
    return {
        kind: {str(one["path"]): str(one.get("md5", "")) for one in entry.get(kind) or []} for kind in ("deps", "outs")
    }


def _recorded(project: Project, path: PurePosixPath) -> str | None:
    """Return the md5 that is recorded now for a dataset: in its ``.dvc`` file, or in dvc.lock for another stage's."""
    pointer = project.root / f"{path}.dvc"
    if pointer.is_file():
        outs = yaml_files.read(pointer).get("outs") or []
        return str(outs[0]["md5"]) if outs and "md5" in outs[0] else None
    for stage in (yaml_files.read(project.root / "dvc.lock").get("stages") or {}).values():
        for out in stage.get("outs") or []:
            if out.get("path") == str(path):
                return str(out.get("md5"))
    return None


def _only_input_changed(project: Project, stage: str, source: str) -> bool:
    """Say whether nothing but the input differs from what dvc.lock has: no parameter, no key, no other file."""
    root = Project.find(project.root)
    changed = dvc_pipeline.changed_dependencies(root, project.root, stage)
    wanted = os.path.relpath(project.root / source, root.root).replace(os.sep, "/")
    return changed == {wanted}


def _changed_positions(
    array: LazyArray, dims: tuple[str, ...], core: tuple[str, ...], before: Mapping[str, str], now: Mapping[str, str]
) -> NDArray[np.bool_] | None:
    """Return which probe positions lie in chunk files that differ; None where something else differs too."""
    keys = keys_of(array)
    scan_axes = [index for index, dim in enumerate(dims) if dim not in core]
    changed = np.zeros([array.shape[axis] for axis in scan_axes], np.bool_)
    folder = f"{keys.folder}/" if keys is not None and keys.folder else ""
    for path in before.keys() | now.keys():
        if before.get(path) == now.get(path):
            continue
        region = keys.region(path) if keys is not None else None
        if region is not None:
            changed[tuple(region[axis] for axis in scan_axes)] = True
        elif path.startswith(folder) or "/" not in path:
            return None  # the array's own metadata, or those of the store
    return changed


def _arrays(cache: Path, files: Mapping[str, str]) -> dict[str, LazyArray] | None:
    """Return the arrays of a result that lies in the cache; None where one of its files is not there."""
    found: dict[str, LazyArray] = {}
    for path, md5 in files.items():
        name, _, last = path.rpartition("/")
        if last != "zarr.json" or not name:
            continue
        try:
            said = json.loads(dvc_manifest.cached(cache, md5).read_bytes())
        except OSError:
            return None
        chunks = tuple(said["chunk_grid"]["configuration"]["chunk_shape"])
        array = _CachedChunks(
            cache,
            {key.rpartition("/")[2]: value for key, value in files.items() if key.startswith(f"{name}/")},
            tuple(said["shape"]),
            np.dtype(said["data_type"]),
            chunks,
        )
        if not array.complete():
            return None
        found[name] = array
    return found


class _CachedChunks(ChunkFiles):
    """An array of a result, its chunks in DVC's cache under their checksums."""

    def __init__(
        self,
        cache: Path,
        files: Mapping[str, str],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunks: tuple[int, ...],
    ) -> None:
        super().__init__(cache, shape, dtype, chunks)
        self._files = dict(files)

    def file(self, index: tuple[int, ...]) -> Path:
        return dvc_manifest.cached(self.folder, self._files.get(super().file(index).name, "none"))

    def complete(self) -> bool:
        return all(self.file(index).is_file() for index in self.indices())
