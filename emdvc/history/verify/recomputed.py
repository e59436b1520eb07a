"""What stages gave when they were computed again, beside what dvc.lock had recorded of them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.history.dvc_stages import Runnable
from emdvc.history.recorded import LockedStage

#: A line of a failing program that says what failed: ours, then Python's last, then anybody's.
_TELLING = (
    re.compile(r"^error\[EM-[A-Z-]+\]: .+"),
    re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Fault)\b(?::.*)?$"),
    re.compile(r"(?i)^.*\b(?:error|fatal|not found|no such)\b.*"),
)
#: What DVC itself prints around what a stage prints.
_FRAME = re.compile(
    r"^(?:> |Updating lock file|Generating lock file|To track the changes|\s+git add |To enable auto staging|"
    r"Use `dvc push`|Verifying |WARNING: |ERROR: )"
)
_DVC_SAYS = re.compile(r"^(?:WARNING|ERROR): (?!failed to reproduce|Stages? )(.+)$")


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a stage, before and after.

    Parameters
    ----------
    path
        Relative to the project.
    before, after
        md5 that is recorded, and that of what was computed; `after` is empty where nothing was.
    kept_by_git
        Whether git keeps its bytes (a sidecar, a picture, a metric).
    """

    path: PurePosixPath
    before: str
    after: str
    kept_by_git: bool

    @property
    def identical(self) -> bool:
        """Whether every byte is the same."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A stage that was computed again.

    Parameters
    ----------
    name
        Its address.
    outputs
        Its outputs, the recorded ones.
    problem
        Why it has none; empty where it ran.
    other_inputs
        In what its run differed from the recorded one: an input whose bytes are others, a parameter, the command.
    """

    name: str
    outputs: tuple[Output, ...]
    problem: str = ""
    other_inputs: tuple[str, ...] = ()


def beside(
    stages: list[Runnable],
    before: Mapping[str, LockedStage],
    after: Mapping[str, LockedStage],
    data: Container[PurePosixPath],
    printed: Mapping[str, list[str]],
) -> Iterator[Recomputed]:
    """Yield each stage with its outputs before and after.

    Parameters
    ----------
    stages
        Those that were run, in order.
    before, after
        What dvc.lock recorded of them, and what it says now; a stage that failed is not in it.
    data
        Outputs that DVC keeps; git keeps the others.
    printed
        What each stage printed.
    """
    failed: dict[PurePosixPath, str] = {}
    for stage in stages:
        recorded_, computed = before[stage.address], after.get(stage.address)
        outs = [
            Output(path, md5, computed.outs.get(path, "") if computed else "", path not in data)
            for path, md5 in recorded_.outs.items()
        ]
        if computed is None:
            lacking = next((failed[dep] for dep in stage.deps if dep in failed), "")
            problem = f"its input is an output of {lacking}, which failed" if lacking else ""
            yield Recomputed(stage.address, tuple(outs), problem or telling(printed.get(stage.address, [])))
            failed |= dict.fromkeys(stage.outs, stage.address)
        else:
            yield Recomputed(stage.address, tuple(outs), other_inputs=_other_inputs(recorded_, computed))


def telling(lines: Sequence[str]) -> str:
    """Return the line of a failing stage's output that says most."""
    own = [line.strip() for line in lines if line.strip() and not _FRAME.match(line)]
    for pattern in _TELLING:
        for line in own:
            if pattern.match(line):
                return line
    # what DVC found: an input or an output that is not there; last that the program failed, which is known
    found = [match[1] for match in map(_DVC_SAYS.match, lines) if match]
    said = [line for line in found if not line.startswith("failed to run")]
    return (said[:1] or own[-1:] or found[:1] or ["it printed nothing"])[0]


def _other_inputs(before: LockedStage, now: LockedStage) -> tuple[str, ...]:
    """Return in what a run differed from the recorded one."""
    found = [] if before.cmd == now.cmd else ["its command"]
    found += [str(path) for path, md5 in now.deps.items() if before.deps.get(path) != md5]
    for file, keys in now.params.items():
        known = before.params.get(file, {})
        found += [f"{key} in {file}" for key, value in keys.items() if key not in known or known[key] != value]
    return tuple(found)
