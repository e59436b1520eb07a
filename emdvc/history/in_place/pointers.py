"""What a stage that reads its data in place depends on, instead of on the data itself.

DVC cannot depend on a ``.dvc`` file, and a dependency on the data would want it here. What says in git which bytes are
meant is the sidecar: of raw data its keys :data:`emdvc.history.stages.POINTER_KEYS`, declared as parameters, so that no
other key reruns the stage; of a stage's output its whole sidecar, which that stage writes and DVC therefore orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ProjectError
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.dvc_stages import Runnable
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path, sidecar_path
from emdvc.history.stages import Pipeline, StageInfo


@dataclass(frozen=True, slots=True)
class Pointers:
    """What stands for the data that a stage reads.

    Parameters
    ----------
    recorded
        Sidecars of raw data, whose pointer keys are declared.
    deps
        What else is depended on: sidecars that other stages write, scripts, files that git keeps.
    """

    recorded: tuple[PurePosixPath, ...]
    deps: tuple[PurePosixPath, ...]


def pointers(
    project: Project, pipeline: Pipeline, source: PurePosixPath, others: Iterable[PurePosixPath] = ()
) -> Pointers:
    """Return what a stage depends on that reads its data in place.

    Parameters
    ----------
    source
        The input.
    others
        What else is read: scripts and other datasets. One that is neither raw data nor a stage's output stands for
        itself.

    Raises
    ------
    ProjectError
        No sidecar in git says which bytes of the input, or of a stage's output, are meant.
    """
    recorded: list[PurePosixPath] = []
    deps: list[PurePosixPath] = []
    for path in dict.fromkeys((source, *others)):
        sidecar = sidecar_path(path)
        producer = pipeline.producer(path)
        if producer is not None:
            if pipeline.producer(sidecar) != producer:
                raise _cannot(path, f"the stage '{producer}' writes no {sidecar.name} beside it")
            deps.append(sidecar)
        elif project.path(f"{path}.dvc").is_file() and project.path(sidecar).is_file():
            recorded.append(sidecar)
        elif path == source:
            raise _cannot(path, f"there is no {path}.dvc with a sidecar")
        else:
            deps.append(path)
    return Pointers(tuple(recorded), tuple(deps))


def with_data(project: Project, stages: Iterable[Runnable]) -> list[Runnable]:
    """Return stages with the data among what they depend on that they read in place: to compute them again takes it."""
    pipeline = Pipeline.read(project)
    found = []
    for stage in stages:
        info = pipeline.info(stage.address)
        if info is not None and info.in_place:
            sidecars = (*info.recorded, *(path for path in info.deps if path.name.endswith(SUFFIX)))
            stage = replace(stage, deps=(*stage.deps, *map(data_path, sidecars)))  # noqa: PLW2901
        found.append(stage)
    return found


def undeclared(info: StageInfo, wanted: Pointers) -> list[PurePosixPath]:
    """Return what a stage must depend on and does not."""
    deps = set(info.deps)
    lacking = [path for path in wanted.recorded if path not in info.recorded]
    return lacking + [path for path in wanted.deps if path not in deps and not deps.intersection(path.parents)]


def _cannot(path: PurePosixPath, evidence: str) -> ProjectError:
    return ProjectError(
        f"{path} cannot be read in place",
        code=Code.STAGE_UNDECLARED,
        evidence=f"{evidence}: nothing in git would tell DVC that the data changed",
        hint=f"emdvc add {path}, or leave --in-place out",
    )
