"""The benchmarks run, and say of every section what they measured. Their numbers are no matter of the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT))
from benchmarks import operations, table  # noqa: E402
from benchmarks.compare import Compared  # noqa: E402

OPERATION = {one.name: one for one in operations.OPERATIONS}


@pytest.mark.slow
def test_a_quick_run_measures_every_section(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "benchmarks", "--quick", "--scan", "16", "--output", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert done.stdout.strip() == page.strip()
    for title in ("Operations", "Streamed", "What the machine can do", "Scaling", "Memory", "Compilation"):
        assert f"## {title}" in page
    assert "## The state of a project" in page
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["sections"]
    assert set(found["operations"]["found"]) == set(operations.names())
    for operation in operations.OPERATIONS:
        one = found["operations"]["found"][operation.name]
        assert one["speed"] > 0
        # all but the disks have a NumPy form, which agrees or else the run would have ended
        assert ("NumPy" in one["ratios"]) == (not operation.places)
        assert f"| {operation.title} |" in page
    assert found["compilation"]["found"]["warm"] == 0
    layouts = found["status"]["found"]["layouts"]
    assert {name: len(seconds) for name, seconds in layouts.items()} == {"flat": 3, "deep": 3}
    assert found["memory"]["found"]["shape"] == [32, 32, 128, 128]
    assert {run["peak"] > 0 for run in found["memory"]["found"]["runs"].values()} == {True}


def test_another_result_is_not_compared() -> None:
    ours = {"sum": np.full((4, 4), 10.0), "max": np.full((4, 4), 3.0)}
    agreed = operations.check(OPERATION["sum"], ours, {"sum": ours["sum"]}, None)
    assert agreed == "0e+00; without max"
    with pytest.raises(operations.Disagreement, match=r"sum differs by 0\.1%"):
        operations.check(OPERATION["sum"], ours, {"sum": ours["sum"] * 1.001}, None)
    with pytest.raises(operations.Disagreement, match="shape"):
        operations.check(OPERATION["sum"], ours, {"sum": ours["sum"][:2]}, None)
    with pytest.raises(operations.Disagreement, match="lacks"):
        operations.check(OPERATION["sum"], ours, {"sum": np.full((4, 4), np.nan)}, None)
    with pytest.raises(operations.Disagreement, match="none"):
        operations.check(OPERATION["sum"], ours, {}, None)


class Truth:
    """A pattern of two disks."""

    scan_shape = (1, 1)

    @staticmethod
    def disks(y: int, x: int) -> list[tuple[float, float, float]]:
        return [(10.0, 20.0, 1.0), (30.0, 40.0, 1.0)]


def test_places_are_judged_by_the_truth() -> None:
    # one disk 0.3 px off in y and 0.4 px in x, the other not found, and one that is not there: rms sqrt(0.25 / 2)
    found = {"count": np.array([[2]]), "peak_ky": np.array([10.3, 60.0]), "peak_kx": np.array([20.4, 60.0])}
    error, part = operations.accuracy(found, Truth())
    assert error == pytest.approx(np.sqrt(0.125))
    assert part == 0.5
    with pytest.raises(operations.Disagreement, match="50% of the disks"):
        operations.check(OPERATION["disks"], found, found, Truth())


def test_an_aim_is_met_by_the_worst_of_the_packages() -> None:
    one = Compared(OPERATION["sum"], speed=1e10, ratios={"LiberTEM": 12.0, "fpd": 7.0, "NumPy": 6.0})
    numbers = table.as_numbers(one)
    assert table._aim(OPERATION["sum"], numbers) == ("8 x, NumPy 5 x", "no")
    numbers["ratios"]["fpd"] = 8.0
    assert table._aim(OPERATION["sum"], numbers) == ("8 x, NumPy 5 x", "yes")
    numbers["ratios"]["NumPy"] = 4.9
    assert table._aim(OPERATION["sum"], numbers) == ("8 x, NumPy 5 x", "no")
