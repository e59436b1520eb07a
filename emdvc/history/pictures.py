"""Pictures that show an older calibration than the record: the result's numbers are right, its scale bar is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.formats import picture_text, sidecar
from emdvc.formats.publishing import picture_path
from emdvc.history.project import Project
from emdvc.history.stages import Pipeline


@dataclass(frozen=True, slots=True)
class Outdated:
    """A picture whose scale bar is not that of the record.

    Parameters
    ----------
    picture
        Its path in the project.
    stage
        The stage that draws it.
    drawn, now
        The calibration that it was drawn with, and that of the record: ``x=0.5 nm, y=0.5 nm``.
    """

    picture: PurePosixPath
    stage: str
    drawn: str
    now: str


def outdated(project: Project) -> list[Outdated]:
    """Return the pictures of stages' outputs that were drawn with another calibration than the one that holds now."""
    found = []
    results = [(info, path) for info in Pipeline.read(project).infos() for path in info.results]
    for info, path in results:
        data = project.path(path)
        picture = picture_path(data)
        if not picture.is_file() or not sidecar.path_of(data).is_file():
            continue
        drawn = picture_text.read(picture).get(picture_text.AXES, "")
        try:
            axes = sidecar.read_resolved(data).axes
        except EmdvcError:
            continue  # a damaged sidecar is told of elsewhere
        now = picture_text.calibration({dim: axes[dim] for dim in picture_text.dims(drawn) if dim in axes})
        if drawn != now:
            found.append(Outdated(project.relative(picture), info.name, drawn, now))
    return found
