"""Pictures that show an older calibration than the record: the result's numbers are right, its scale bar is not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.formats import picture_text
from emdvc.formats.file_names import SUFFIX, inherited_path, picture_path
from emdvc.history.project import Project
from emdvc.history.workspace.parsed_texts import ParsedTexts


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


def outdated(project: Project, texts: ParsedTexts | None = None) -> list[Outdated]:
    """Return the pictures of stages' outputs that were drawn with another calibration than the one that holds now.

    Parameters
    ----------
    texts
        What was read before.
    """
    texts = ParsedTexts(project) if texts is None else texts
    found = []
    for stage, path in _results(project, texts):
        data = PurePosixPath(path)
        own = data.with_name(data.name + SUFFIX)
        picture = picture_path(project.path(data))
        if not picture.is_file() or not project.path(own).is_file():
            continue
        drawn = picture_text.read(picture).get(picture_text.AXES, "")
        now = _calibration(project, own, drawn, texts)
        if now is not None and drawn != now:
            found.append(Outdated(project.relative(picture), stage, drawn, now))
    return found


def _results(project: Project, texts: ParsedTexts) -> list[tuple[str, str]]:
    """Return each result of a stage that runs an emdvc step, with the stage's name."""

    def parse(_: str) -> list[list[str]]:
        from emdvc.history.stages import Pipeline

        pipeline = Pipeline.read(project, texts.read)
        return [[info.name, str(path)] for info in pipeline.infos() for path in info.results]

    said = [project.root / name for name in ("dvc.yaml", "params.yaml", ".emdvc/steps.yaml")]
    known_by = "\n---\n".join(file.read_text(encoding="utf-8") if file.is_file() else "" for file in said)
    return [(stage, path) for stage, path in texts.load("results", known_by, parse)]


def _calibration(project: Project, own: PurePosixPath, drawn: str, texts: ParsedTexts) -> str | None:
    """Return the calibration that holds now for the axes that a picture shows; None where a sidecar is damaged."""
    try:
        read = _inherited(project, own, texts)

        def calibration(_: str) -> str:
            from emdvc.formats import sidecar

            axes = sidecar.resolve(sidecar.parse(read[own] or "", str(own)), own, read.get).axes
            return picture_text.calibration({dim: axes[dim] for dim in picture_text.dims(drawn) if dim in axes})

        known_by = "\n".join([drawn, *(f"{path}\n{text}" for path, text in read.items())])
        found: str = texts.load("calibration", known_by, calibration)
    except (EmdvcError, UnicodeDecodeError):
        return None  # a damaged sidecar is told of elsewhere
    return found


def _inherited(project: Project, own: PurePosixPath, texts: ParsedTexts) -> dict[PurePosixPath, str | None]:
    """Return the texts of a sidecar and of those that it inherits from, by path; None where one is not there."""
    read: dict[PurePosixPath, str | None] = {}
    following: PurePosixPath | None = own
    while following is not None and following not in read:
        file = project.path(following)
        text = read[following] = file.read_text(encoding="utf-8") if file.is_file() else None
        parent = texts.load("inherits", text, partial(_parent, where=str(following))) if text else None
        following = inherited_path(following, parent) if parent else None
    return read


def _parent(text: str, where: str) -> str | None:
    from emdvc.formats import sidecar

    return sidecar.parse(text, where).inherits
