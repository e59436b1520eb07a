"""The table and the sentence of a verification."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from emdvc.compare.verification import Outcome, OutputVerdict, StageVerdict
from emdvc.render.verification import sentence, stages_text


def _stage(name: str, *outcomes: Outcome, problem: str = "") -> StageVerdict:
    outputs = tuple(OutputVerdict(PurePosixPath(f"{name}{n}"), outcome) for n, outcome in enumerate(outcomes))
    return StageVerdict(name, outputs, problem, ("params.yaml",))


SAME, NEAR = _stage("a", Outcome.IDENTICAL), _stage("b", Outcome.IDENTICAL, Outcome.TOLERATED)
OTHER, BROKEN = _stage("c", Outcome.DIFFERENT, Outcome.TOLERATED), _stage("d", problem="no gas")


def test_a_stage_is_as_bad_as_its_worst_output() -> None:
    assert [stage.outcome for stage in (SAME, NEAR, OTHER, BROKEN)] == list(Outcome)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([SAME], "f00 was reproduced bit by bit: 1 stage"),
        ([SAME, NEAR], "f00 was reproduced: 2 stages, 1 of them within the tolerance"),
        ([SAME, OTHER], "f00 was not reproduced: 1 of 2 stages is different"),
        ([OTHER, BROKEN, OTHER], "f00 was not reproduced: 2 of 3 stages are different, 1 failed"),
        ([BROKEN, SAME], "f00 was not reproduced: 1 of 2 stages failed"),
    ],
)
def test_the_sentence(stages: list[StageVerdict], said: str) -> None:
    assert sentence(stages, "f00") == said


def test_the_table() -> None:
    assert stages_text([NEAR, BROKEN], "f00").splitlines() == [
        "stage  output  verdict",
        "b      b0      bit-identical",
        "       b1      within tolerance",
        "    its inputs are not those that were recorded: params.yaml",
        "d      none    failed",
        "    no gas",
        "",
        "f00 was not reproduced: 1 of 2 stages failed",
    ]
