from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from difference_strategies import differences
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Noise, Seen, Tolerance, ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange, VariableChange
from emdvc.compare.verdict import Verdict
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.map import HEIGHT, WIDTH, map_lines
from emdvc.render.difference.text import as_overview, as_text, counts, gist, head, key_change, value_lines
from emdvc.render.terminal import Colours

SCAN = (("y", 64), ("x", 64))
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def numbers(verdict: Verdict = Verdict.VALUES, **changes: Any) -> ValueChange:
    known: dict[str, Any] = {"differing": 130, "compared": 8192, "total": 64**4, "unit": "counts"}
    return ValueChange("data", verdict, **{**known, **changes})


def test_three_probe_positions() -> None:
    change = numbers(
        positions=3, scan=SCAN, box=(("y", 12, 14), ("x", 30, 31)), largest=7, mean=-0.02, rms=2.1, sum_ratio=1.0004,
        noise=Noise(3e-17, 2), chunks=2, chunks_of=256,
    )  # fmt: skip
    assert value_lines(change) == [
        "3 of 4096 probe positions differ, in y 12:15, x 30:32 (2 of 256 chunks)",
        "largest 7, mean -0.02, RMS 2.1 counts; their sum x 1.0004",
        "not as two exposures differ (p < 1e-12; 2 dead or stuck pixels left out)",
    ]


SENTENCES: dict[str, tuple[ValueChange, str]] = {
    "one": (
        numbers(positions=1, scan=SCAN, box=(("y", 5, 5), ("x", 6, 6))),
        "1 of 4096 probe positions differs, at y 5, x 6",
    ),
    "all": (numbers(positions=4096, scan=SCAN, box=(("y", 0, 63), ("x", 0, 63))), "all 4096 probe positions differ"),
    "a stack": (numbers(positions=2, scan=(("frame", 9),), box=(("frame", 0, 8),)), "2 of 9 frames differ"),
    "an image": (numbers(differing=5, total=10_000), "5 of 10 000 numbers differ"),
    "stopped": (
        numbers(positions=10, scan=SCAN, complete=False, box=(("y", 0, 0), ("x", 0, 9))),
        "at least 10 of 4096 probe positions differ, in y 0, x 0:10",
    ),
    "encoding": (
        numbers(Verdict.ENCODING, differing=0, chunks=256, chunks_of=256),
        "the same numbers in other bytes (256 of 256 chunks)",
    ),
    "another order": (
        numbers(Verdict.STRUCTURE, differing=0, arrangement="ky reversed"),
        "ky reversed: the same numbers",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_what_differs(name: str) -> None:
    change, sentence = SENTENCES[name]
    assert value_lines(change)[0] == sentence


LINES: dict[str, tuple[dict[str, Any], str]] = {
    "noise": ({"verdict": Verdict.NOISE_EQUIVALENT, "noise": Noise(0.4321)}, "as two exposures differ (p = 0.43)"),
    "tolerated": (
        {"verdict": Verdict.WITHIN_TOLERANCE, "tolerance": Tolerance(1e-6, 0.5, 4)},
        "all within the tolerance (relative 1e-06, absolute 0.5 counts, 4 ulp)",
    ),
    "beyond": (
        {"tolerance": Tolerance(rtol=0.01), "outside": 1},
        "1 number beyond the tolerance (relative 0.01)",
    ),
    "NaN": ({"nan_after": 12, "nan_before": 1}, "12 numbers became NaN; 1 NaN became a number"),
    "a sum of nearly one": (
        {"largest": 1, "sum_ratio": 1 + 4e-7},
        "largest 1, mean 0, RMS 0 counts; their sum +4.0e-05 %",
    ),
    "the same sum": ({"largest": 1, "sum_ratio": 1.0}, "largest 1, mean 0, RMS 0 counts; their sum is the same"),
    "infinite": ({"largest": float("inf"), "mean": float("nan"), "rms": 1e-9}, "largest inf, RMS 1e-09 counts"),
    "stopped": ({"complete": False}, "stopped early: there may be more"),
}


@pytest.mark.parametrize("name", LINES)
def test_how_much(name: str) -> None:
    changes, line = LINES[name]
    assert value_lines(numbers(**changes))[-1] == line


CAUSES = [
    (
        Cause(CauseKind.PARAMETER, "params.yaml", "bright_field.outer", "20 px", "22 px"),
        "parameter bright_field.outer 20 px -> 22 px",
    ),
    (
        Cause(CauseKind.PARAMETER, "sub/params.yaml", "outer", None, 3),
        "parameter outer not set -> 3  in sub/params.yaml",
    ),
    (Cause(CauseKind.PARAMETER, "mean_pattern", "outer", 4, 3), "parameter outer 4 -> 3  (-25 %)  of mean_pattern"),
    (Cause(CauseKind.INPUT, "raw/scan.zarr", after="values"), "raw/scan.zarr changed (values)"),
    (Cause(CauseKind.INPUT, "raw/scan.zarr", after="now read"), "raw/scan.zarr is now read"),
    (Cause(CauseKind.INPUT, "raw/s.mib", through=("mask", "vdet")), "raw/s.mib changed  (through mask, vdet)"),
    (
        Cause(CauseKind.METADATA, "raw/s.mib", "beam.energy", Quantity(200.0, "keV"), Quantity(300.0, "keV")),
        "beam.energy of raw/s.mib 200 -> 300 keV  (+100 keV, +50 %)",
    ),
    (
        Cause(CauseKind.SCRIPT, "scripts/x.py", before="a = 1", after="a = 2", line=12, lines=1),
        "scripts/x.py line 12: a = 1 -> a = 2",
    ),
    (
        Cause(CauseKind.SCRIPT, "scripts/x.py", after="b = 2", line=3, lines=4),
        "scripts/x.py line 3: new b = 2  (4 lines in all)",
    ),
    (Cause(CauseKind.SCRIPT, "scripts/x.py"), "scripts/x.py changed"),
    (Cause(CauseKind.VERSION, "virtual_detector", before=1, after=2), "step virtual_detector version 1 -> 2"),
    (
        Cause(CauseKind.COMMAND, "vdet", before="emdvc run a", after="emdvc run b"),
        "command of vdet: emdvc run a -> emdvc run b",
    ),
    (
        Cause(CauseKind.UNRECORDED, "results/a.zarr", after=True),
        "no run of its stage was recorded then, as after a merge of two runs",
    ),
    (
        Cause(CauseKind.UNRECORDED, "results/a.zarr", before=True),
        "no run of its stage is recorded now, as after a merge of two runs: dvc repro",
    ),
    (Cause(CauseKind.NONE, "results/a.zarr"), "nothing that it depends on changed: run it twice and compare"),
]


@pytest.mark.parametrize(("cause", "line"), CAUSES)
def test_causes(cause: Cause, line: str) -> None:
    assert cause_line(cause) == line


def test_every_kind_of_cause_has_its_sentence() -> None:
    assert {cause.kind for cause, _ in CAUSES} == set(CauseKind)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (Quantity(0.02, "1/angstrom"), Quantity(0.022, "1/angstrom"), "0.02 -> 0.022 1/Å  (+10 %)"),
        (Quantity(0.2, "MeV"), Quantity(300.0, "keV"), "200 -> 300 keV  (+100 keV, +50 %)"),
        (Quantity((32.0, 32.0), "px"), Quantity((33.0, 32.0), "px"), "(32, 32) -> (33, 32) px  (+1, 0 px)"),
        (Quantity((0.8, 0.8), "nm"), Quantity((1.0, 1.0), "nm"), "(0.8, 0.8) -> (1, 1) nm  (+25 %)"),
        (Quantity((1.0, 2.0), "nm"), Quantity((1.0, 1.0), "nm"), "(1, 2) -> (1, 1) nm  (0, -1 nm, 0 %, -50 %)"),
        (Quantity(0.0, "deg"), Quantity(10.0, "deg"), "0 -> 10°  (+10°)"),
        (Quantity(0.0, "s"), Quantity(2.0, "s"), "0 -> 2 s  (+2 s)"),
        (Quantity(float("nan"), "s"), Quantity(2.0, "s"), "nan -> 2 s"),
        (Quantity(1.0, "nm"), Quantity(1.0, "keV"), "1 nm -> 1 keV"),
        (Quantity(1.0, "nm"), Quantity(1.0, "nm", Origin.USER), "1 nm  (origin file -> user)"),
        (100, 200, "100 -> 200  (+100 %)"),
        ("Ruska", None, "Ruska -> unknown"),
    ],
)
def test_keys(before: Any, after: Any, shown: str) -> None:
    assert key_change(KeyChange("a.key", before, after)) == shown


def test_a_second_version_is_not_twice_the_first() -> None:
    assert key_change(KeyChange("version", 1, 2)) == "1 -> 2"


def mapped(changed: Any) -> ValueChange:
    changed = np.asarray(changed, np.bool_)
    scan = tuple(zip(("tilt", "y", "x")[3 - changed.ndim :], changed.shape, strict=True))
    return numbers(positions=int(changed.sum()), scan=scan, seen=Seen(changed=changed))


def test_a_small_map_has_a_letter_for_each_probe_position() -> None:
    assert map_lines(mapped([[0, 1, 0], [1, 0, 0]])) == [".#.", "#..", "(y down, x across; # differs)"]
    assert map_lines(mapped([0, 1, 0, 1])) == [".#.#", "(x across; # differs)"]
    stack = np.zeros((2, 2, 3))
    stack[0, 0, 0] = stack[1, 1, 2] = 1
    assert map_lines(mapped(stack)) == ["#..", "..#", "(y down, x across; over all tilt; # differs)"]


def test_a_large_map_says_what_a_letter_stands_for() -> None:
    changed = np.zeros((64, 64))
    changed[0:6, 0:3] = 1  # one letter, whole
    changed[63, 63] = 1  # in the last one, which the edge cuts to 4 x 1
    found = map_lines(mapped(changed))
    assert found[0] == "#" + "." * 21 and found[10] == "." * 21 + "+"
    assert found[11:] == ["(y down, x across; a letter is 6 x 3 positions; #: all differ, +: some)"]


def test_half_blocks_hold_two_rows() -> None:
    first, second, _ = map_lines(mapped([[1, 1], [0, 1], [0, 0]]), blocks=True)
    assert first == "\x1b[38;5;229;48;5;240m▀\x1b[38;5;229;48;5;229m▀\x1b[0m"
    assert second == "\x1b[38;5;240;49m▀▀\x1b[0m", "a run of one colour is coloured once"


@pytest.mark.parametrize("changed", [np.zeros((4, 4)), np.eye(1, 4), np.ones((4, 4)), np.zeros((0, 4))])
def test_no_map_where_there_is_nothing_to_see(changed: Any) -> None:
    assert map_lines(mapped(changed)) == []
    assert map_lines(numbers()) == [] == map_lines(numbers(seen=Seen()))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 9), st.floats(0.001, 0.999), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_maps_tell_the_truth(height: int, width: int, seed: int, part: float, letters: int) -> None:
    changed = np.random.default_rng(seed).random((height, width)) < part
    lines = map_lines(mapped(changed), width=letters)
    if not 2 <= changed.sum() < changed.size:
        assert lines == []
        return
    *rows, legend = lines
    assert len(rows) <= HEIGHT and len(rows[0]) <= min(letters, WIDTH)
    said = re.search(r"a letter is (\d+) x (\d+) positions", legend)
    down, across = map(int, said.groups()) if said else (1, 1)
    expected = [
        "".join(
            "#" if cell.all() else "+" if cell.any() else "."
            for cell in (changed[y : y + down, x : x + across] for x in range(0, width, across))
        )
        for y in range(0, height, down)
    ]
    assert rows == expected


def example() -> ProjectDifference:
    changed = np.zeros((8, 8), np.bool_)
    changed[2, 3] = changed[5, 6] = True
    info = VariableInfo(("y", "x"), (8, 8), "uint16", "a" * 64)
    image = ValueChange(
        "image", Verdict.VALUES, differing=2, total=64, positions=2, scan=(("y", 8), ("x", 8)),
        box=(("y", 2, 5), ("x", 3, 6)), largest=3, mean=1, rms=2.5, unit="counts", seen=Seen(changed=changed),
    )  # fmt: skip
    causes = tuple(Cause(CauseKind.INPUT, f"raw/{name}.mib", after="values") for name in "ab")
    return ProjectDifference(
        "HEAD~1",
        None,
        (
            DatasetDifference(
                PurePosixPath("raw/b.mib"), "renamed", bytes_differ=False, before_path=PurePosixPath("raw/a.mib")
            ),
            DatasetDifference(
                PurePosixPath("raw/c.zarr"),
                bytes_differ=True,
                before_sidecar=Sidecar(variables={"data": info}),
                after_sidecar=Sidecar(variables={"data": info}),
            ),
            DatasetDifference(
                PurePosixPath("results/image.zarr"),
                kind="result",
                variables=(VariableChange("image", info, info, ("digest",)),),
                statistics=(StatisticChange("image", "sum", 100, 102),),
                provenance=(KeyChange("inputs.raw/a.mib.digest", "x", "y"), KeyChange("by", "a", "b")),
                values=(image,),
                causes=causes,
            ),
        ),
        7,
    )


def test_a_whole_difference() -> None:
    assert as_text(example()) == (
        "raw/b.mib           renamed\n"
        "  was raw/a.mib\n"
        "raw/c.zarr          encoding only\n"
        "  other bytes, the same numbers\n"
        "results/image.zarr  values\n"
        "  because: raw/a.mib changed (values)\n"
        "           raw/b.mib changed (values)\n"
        "  image  2 of 64 probe positions differ, in y 2:6, x 3:7\n"
        "         largest 3, mean 1, RMS 2.5 counts\n"
        "         sum 100 -> 102 (+2 %)\n"
        "    ........\n    ........\n    ...#....\n    ........\n"
        "    ........\n    ......#.\n    ........\n    ........\n"
        "    (y down, x across; # differs)\n"
        "  by  a -> b"
    )


def test_colours_only_where_they_are_asked_for() -> None:
    plain, coloured = as_text(example()), as_text(example(), colours=Colours.INDEXED)
    assert "\x1b" not in plain and as_text(example(), colours=Colours.NONE) == plain
    lines = coloured.splitlines()
    assert lines[4] == "\x1b[1mresults/image.zarr\x1b[0m  \x1b[31mvalues\x1b[0m"
    words = [line for line in ESCAPE.sub("", coloured).splitlines() if "▀" not in line and "across" not in line]
    assert words == [line for line in plain.splitlines() if not re.search(r"^    [.#]+$|across", line)]


def test_one_line_for_each_dataset() -> None:
    assert as_overview(example()).splitlines() == [
        "raw/b.mib           renamed        was raw/a.mib",
        "raw/c.zarr          encoding only  other bytes, the same numbers",
        "results/image.zarr  values         2 of 64 probe positions differ, in y 2:6, x 3:7",
    ]
    assert ESCAPE.sub("", as_overview(example(), colours=Colours.TRUE)) == as_overview(example())


def test_a_renamed_dataset_keeps_its_verdict() -> None:
    (_, _, changed) = example().datasets
    from dataclasses import replace

    moved = replace(changed, status="renamed", before_path=PurePosixPath("results/old.zarr"))
    assert head(moved) == ("results/image.zarr", "renamed, values")
    assert counts(moved) == "1 array, 2 details of origin"


def test_numbers_are_told_before_what_stands_beside_them() -> None:
    same = numbers(Verdict.ENCODING, differing=0)
    dataset = DatasetDifference(PurePosixPath("r"), values=(same,), vendor=(KeyChange("a", 1, 2), KeyChange("b", 1, 2)))
    assert gist(dataset) == "the same numbers in other bytes; 2 vendor keys"
    energy = KeyChange("beam.energy", Quantity(200.0, "keV"), Quantity(300.0, "keV"))
    assert gist(DatasetDifference(PurePosixPath("r"), record=(energy,))) == (
        "beam.energy 200 -> 300 keV  (+100 keV, +50 %)"
    )
    assert gist(DatasetDifference(PurePosixPath("r"), unread="no remote")) == "the numbers were not compared: no remote"


def test_many_causes_are_counted() -> None:
    causes = tuple(Cause(CauseKind.INPUT, f"raw/{n:02d}.mib") for n in range(25))
    lines = as_text(ProjectDifference("a", "b", (DatasetDifference(PurePosixPath("r"), causes=causes),))).splitlines()
    assert len(lines) == 12 and lines[-1].strip() == "and 15 more (--json)"


def test_long_sentences_are_broken() -> None:
    cause = Cause(CauseKind.INPUT, "raw/scan.mib", through=tuple(f"stage_{n}" for n in range(20)))
    found = ProjectDifference("a", "b", (DatasetDifference(PurePosixPath("r"), causes=(cause,)),))
    lines = as_text(found, width=60).splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines[1:]).split()).endswith(", ".join(cause.through) + ")")


@given(differences(), st.booleans(), st.integers(30, 120))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_difference_can_be_read(difference: ProjectDifference, vendor: bool, width: int) -> None:
    shown = as_text(difference, vendor=vendor, width=width)
    assert all(line.isprintable() for line in shown.split("\n")), "a file's text cannot steer the terminal"
    places = [shown.find(f"{head(dataset)[0]}  ") for dataset in difference.datasets]
    assert -1 not in places, "every dataset is named"
    assert len(as_overview(difference).split("\n")) == max(1, len(difference.datasets))
