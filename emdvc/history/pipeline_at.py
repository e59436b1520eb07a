"""The stages of a project at a revision, from its dvc.yaml and dvc.lock as text: what each read and wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history.recorded import LockedStage, locked_stages
from emdvc.history.snapshot import Snapshot
from emdvc.history.stages import STEPS_FILE, command, paths_of

_PIPELINE = "dvc.yaml"


@dataclass(frozen=True, slots=True)
class StageAt:
    """A stage at a revision.

    Parameters
    ----------
    name
        With ``@...`` where it was made from a template, and as ``folder/dvc.yaml:name`` below the project's folder.
    step
        The emdvc step that it runs; empty for another command.
    cmd
        Its command line.
    deps, outs
        What it reads and writes, relative to the project; sidecars and pictures of what it writes are left out.
    params
        File -> dotted key -> value, as it last ran.
    ran
        Whether dvc.lock records a run.
    """

    name: str
    step: str = ""
    cmd: str = ""
    deps: tuple[PurePosixPath, ...] = ()
    outs: tuple[PurePosixPath, ...] = ()
    params: Mapping[PurePosixPath, Mapping[str, Any]] = field(default_factory=dict)
    ran: bool = True

    @property
    def version(self) -> int | None:
        """Version of its step that it last ran with; None where none is recorded."""
        for path, keys in self.params.items():
            if str(path).endswith(STEPS_FILE) and isinstance(keys.get(self.step), int):
                return int(keys[self.step])
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "step": self.step,
            "version": self.version,
            "cmd": self.cmd,
            "deps": [str(path) for path in self.deps],
            "outs": [str(path) for path in self.outs],
            "params": {str(path): dict(keys) for path, keys in self.params.items()},
            "ran": self.ran,
        }


def stages_at(snapshot: Snapshot) -> list[StageAt]:
    """Return the stages at a revision in the order of dvc.yaml; those of a template by their runs.

    Raises
    ------
    MetadataError
        A dvc.yaml or dvc.lock is no YAML.
    """
    locked = locked_stages(snapshot)
    found: list[StageAt] = []
    for file in snapshot.files():
        if file.name != _PIPELINE:
            continue
        for name, said in _declared(snapshot, file).items():
            address = name if file.parent == PurePosixPath() else f"{file}:{name}"
            runs = [key for key in locked if key == address or key.startswith(f"{address}@")]
            if runs:
                found += [_locked(key, locked[key]) for key in runs]
            else:
                found.append(_unlocked(address, file.parent, said))
    return found


def _declared(snapshot: Snapshot, file: PurePosixPath) -> dict[str, dict[str, Any]]:
    where = f"{file}@{snapshot.revision}" if snapshot.revision else str(file)
    content = sidecars.load_yaml(snapshot.text(file) or "", where)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {str(name): said for name, said in stages.items() if isinstance(said, dict)}


def _locked(address: str, stage: LockedStage) -> StageAt:
    return StageAt(
        address, _step(stage.cmd), _line(stage.cmd), tuple(stage.deps), _datasets(stage.outs), stage.params, ran=True
    )


def _unlocked(address: str, folder: PurePosixPath, said: Mapping[str, Any]) -> StageAt:
    # of a template the `do` says what each of its stages does
    said = said["do"] if isinstance(said.get("do"), dict) else said
    paths = [[_below(folder, path) for path in paths_of(said.get(kind))] for kind in ("deps", "outs")]
    return StageAt(
        address, _step(said.get("cmd")), _line(said.get("cmd")), tuple(paths[0]), _datasets(paths[1]), ran=False
    )


def _datasets(outs: Any) -> tuple[PurePosixPath, ...]:
    paths = list(outs)
    stores = {path for path in paths if not path.name.endswith((sidecars.SUFFIX, ".png"))}
    aside = {path.with_suffix(".png") for path in stores}
    return tuple(path for path in paths if not path.name.endswith(sidecars.SUFFIX) and path not in aside)


def _step(cmd: Any) -> str:
    called = command(cmd)
    return called.step if called is not None else ""


def _line(cmd: Any) -> str:
    return "; ".join(map(str, cmd)) if isinstance(cmd, list) else str(cmd or "")


def _below(folder: PurePosixPath, path: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(folder / path).replace(os.sep, "/"))
