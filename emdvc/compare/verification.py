"""Results computed again, compared with what is recorded: the same bytes, the same within a tolerance, or not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.compare.dataset import DatasetDifference, compare
from emdvc.compare.numbers.opening import same_bytes
from emdvc.compare.settings import CompareSettings
from emdvc.compare.verdict import Verdict
from emdvc.errors import DataMissingError, EmdvcError

if TYPE_CHECKING:
    from emdvc.compare.numbers.arrays import Side
    from emdvc.history.verify.recomputed import Output, Recomputed
    from emdvc.history.verify.stages import Recomputation

#: Text files longer than this are compared by their bytes alone.
_LONGEST_TEXT = 1 << 20
#: Lines of a text, or names of files, that are shown of a difference.
_SHOWN = 6
#: What differs between two datasets whose numbers are the same, or the same within a tolerance.
_HARMLESS = (Verdict.IDENTICAL, Verdict.ENCODING, Verdict.METADATA, Verdict.WITHIN_TOLERANCE)


class Outcome(StrEnum):
    """How far a result could be computed again, the best first."""

    IDENTICAL = "bit-identical"
    TOLERATED = "within tolerance"
    DIFFERENT = "different"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OutputVerdict:
    """What came of one output.

    Parameters
    ----------
    path
        Relative to the project.
    outcome
        How far it is the same.
    difference
        Of a dataset: in what it differs.
    lines
        Of any other file, or where nothing can be compared: what there is to say.
    """

    path: PurePosixPath
    outcome: Outcome
    difference: DatasetDifference | None = None
    lines: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "path": str(self.path),
            "outcome": str(self.outcome),
            "difference": self.difference.to_dict() if self.difference is not None else None,
            "lines": list(self.lines),
        }


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """What came of one stage.

    Parameters
    ----------
    name
        Its address.
    outputs
        Its outputs; none where it failed.
    problem
        Why it failed.
    other_inputs
        In what its run differed from the recorded one.
    """

    name: str
    outputs: tuple[OutputVerdict, ...] = ()
    problem: str = ""
    other_inputs: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of its outputs; that it failed counts also where it has none."""
        if self.problem:
            return Outcome.FAILED
        order = list(Outcome)
        return max((one.outcome for one in self.outputs), key=order.index, default=Outcome.IDENTICAL)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "outcome": str(self.outcome),
            "problem": self.problem or None,
            "other_inputs": list(self.other_inputs),
            "outputs": [one.to_dict() for one in self.outputs],
        }


def verdicts(found: Recomputation, settings: CompareSettings) -> tuple[StageVerdict, ...]:
    """Compare what was computed again with what is recorded, stage by stage.

    Parameters
    ----------
    found
        What came out; its folder is still there.
    settings
        What is tolerated.

    Raises
    ------
    EnvironmentFault
        A remote did not answer.
    """
    return tuple(_stage(found, stage, settings) for stage in found.stages)


def _stage(found: Recomputation, stage: Recomputed, settings: CompareSettings) -> StageVerdict:
    if stage.problem:
        failed = tuple(OutputVerdict(one.path, Outcome.FAILED) for one in stage.outputs)
        return StageVerdict(stage.name, failed, stage.problem)
    data: dict[PurePosixPath, OutputVerdict] = {}
    # sidecars and pictures follow from their datasets, and are judged after them
    followers = {path: one.path for one in stage.outputs for path in _followers(one.path) if path != one.path}
    for output in sorted(stage.outputs, key=lambda one: one.path in followers):
        dataset = data.get(followers[output.path]) if output.path in followers else None
        data[output.path] = _output(found, output, settings, dataset)
    return StageVerdict(stage.name, tuple(data[one.path] for one in stage.outputs), other_inputs=stage.other_inputs)


def _followers(data: PurePosixPath) -> tuple[PurePosixPath, PurePosixPath]:
    """Return what `emdvc run` writes beside a dataset: its sidecar and its picture."""
    return data.with_name(f"{data.name}.em.yaml"), data.with_suffix(".png")


def _output(
    found: Recomputation, output: Output, settings: CompareSettings, dataset: OutputVerdict | None
) -> OutputVerdict:
    if output.identical:
        return OutputVerdict(output.path, Outcome.IDENTICAL)
    if dataset is not None and dataset.difference is not None:
        return OutputVerdict(output.path, dataset.outcome, lines=(f"follows from {dataset.path.name}",))
    try:
        before = found.recorded(output.path)
    except DataMissingError as error:
        said = f"its checksum is another; what was recorded cannot be looked at: {error.cause}"
        return OutputVerdict(output.path, Outcome.DIFFERENT, lines=(said,))
    after = found.clone.path(output.path)
    difference = None
    if not output.kept_by_git:  # a picture, a metric, a sidecar: judged by its bytes
        with suppress(EmdvcError):  # no dataset, or one that cannot be read
            difference = compare_files(before, after, output.path, settings)
    if difference is None:
        return OutputVerdict(output.path, Outcome.DIFFERENT, lines=file_difference(before, after))
    return OutputVerdict(output.path, Outcome.TOLERATED if _tolerable(difference) else Outcome.DIFFERENT, difference)


def _tolerable(difference: DatasetDifference) -> bool:
    """Say whether the numbers are the same within the tolerance, and nothing else differs but what follows from them.

    Figures and digests of the numbers follow from them, and digests of inputs that were computed again, too.
    """
    written = difference.record or difference.vendor
    origin = [change for change in difference.provenance if not change.key.startswith("inputs")]
    complete = all(change.complete for change in difference.values)
    return complete and difference.verdict in _HARMLESS and not written and not origin


def compare_files(before: Path, after: Path, path: PurePosixPath, settings: CompareSettings) -> DatasetDifference:
    """Return the difference of two datasets on this disk, all their numbers included.

    Parameters
    ----------
    before, after
        The data; their sidecars may lie beside them.
    path
        What the dataset is called.

    Raises
    ------
    FormatError, MetadataError, DataMissingError
        One is no dataset, or cannot be read.
    """
    from emdvc.compare.numbers.arrays import Reading, compare_numbers, paired

    # everything is compared: a verdict on a part would not be one
    reading = Reading(settings.tolerance_for(path), limit=sys.maxsize)
    with _opened(before) as old, _opened(after) as new:
        difference = compare(old.sidecar, new.sidecar, path, volatile=settings.volatile)
        changes = [compare_numbers(old, new, names, reading) for names in paired(old, new)]
        values = tuple(change for change in changes if change is not None)
        return replace(difference, values=values, bytes_differ=True)


@contextmanager
def _opened(path: Path) -> Iterator[Side]:
    from emdvc.compare.numbers.arrays import Side
    from emdvc.compare.state import find
    from emdvc.formats import registry

    opened = registry.open_file(path)
    try:
        yield Side(find(str(path)).sidecar, opened)
    finally:
        opened.close()


def file_difference(before: Path, after: Path) -> tuple[str, ...]:
    """Return in what two files differ that are no datasets: lines of a text, else sizes; of folders the files."""
    if before.is_dir() or after.is_dir():
        return _folder_difference(before, after)
    texts = [_text(path) for path in (before, after)]
    if texts[0] is None or texts[1] is None:
        return (f"{before.stat().st_size} bytes -> {after.stat().st_size} bytes",)
    old, new = (text.splitlines() for text in texts if text is not None)
    lines = [
        f"line {a + 1}: {' | '.join(old[a:b]).strip() or 'nothing'} -> {' | '.join(new[c:d]).strip() or 'nothing'}"
        for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if what != "equal"
    ]
    rest = len(lines) - _SHOWN
    return (*lines[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])) or ("only line ends differ",)


def _text(path: Path) -> str | None:
    if path.stat().st_size > _LONGEST_TEXT:
        return None
    content = path.read_bytes()
    try:
        return None if b"\0" in content else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _folder_difference(before: Path, after: Path) -> tuple[str, ...]:
    names = {
        file.relative_to(folder).as_posix()
        for folder in (before, after)
        for file in folder.rglob("*")
        if file.is_file()
    }
    differing = sorted(name for name in names if not same_bytes(before / name, after / name))
    rest = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return (f"{len(differing)} of {len(names)} files differ: {', '.join(differing[:_SHOWN])}{rest}",)
