"""The conflict file: readable, complete for a machine, and never taken for open or settled when it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from asked_project import in_conflict, merging
from hypothesis import given
from hypothesis import strategies as st
from two_lines import Clone

from emdvc.errors import Code, ProjectError
from emdvc.history import git
from emdvc.history.merging.asking import conflict_file, regions_seen
from emdvc.history.merging.asking.asked import ConflictFile, Question, SideFile, place_of
from emdvc.history.merging.asking.conflict_text import parsed, text_of
from emdvc.history.merging.asking.unmerged import has_markers
from emdvc.history.merging.asking.words import spoken, spoken_sides
from emdvc.history.merging.contract import ABSENT, Conflict, Edited, Merged, Place, Region, Side, Three
from emdvc.history.project import Project

PATH = PurePosixPath("scan.em.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return in_conflict(tmp_path_factory.mktemp("asked"))


@pytest.fixture
def project(made: Clone, tmp_path: Path) -> Project:
    return merging(made, tmp_path / "project")[1]


def quantity(value: float, unit: str, origin: str = "file") -> dict[str, object]:
    return {"value": value, "unit": unit, "origin": origin}


def test_values_are_read_as_people_read_them() -> None:
    assert spoken(quantity(200.0, "kV")) == "200 kV"
    assert spoken({"value": [2, 2], "unit": "nm", "origin": "user"}) == "(2, 2) nm"
    assert spoken(ABSENT) == "not there"
    assert spoken(None) == "unknown"
    assert spoken({"size": 128, "role": "detector", "scale": quantity(0.1, "1/nm")}) == "128 × 0.1 1/nm (detector)"
    assert spoken({"a": 1, "b": [True, "x"]}) == "a: 1, b: [true, x]"
    assert spoken("sha256-units:" + "ab" * 32) == "sha256-units:abababab..."
    assert spoken("two\nlines\x1b[2J") == r"two lines\x1b[2J"


def test_sides_that_differ_never_read_the_same() -> None:
    assert spoken_sides(quantity(1, "nm"), quantity(1, "nm", "user")) == ("1 nm (file)", "1 nm (user)")
    assert len(set(spoken_sides(quantity(0.12345678, "nm"), quantity(0.12345679, "nm")))) == 2
    long = "x" * 500
    assert len(set(spoken_sides(long, long + "y"))) == 2


def test_a_conflict_file_says_everything_and_comes_back_the_same(project: Project) -> None:
    region = Region("labels", ((0, 16), (32, 48)), ("y", "x"), 12)
    conflicts = (
        Conflict("beam.energy", quantity(200, "kV"), quantity(300, "kV"), ABSENT, "both sides changed it"),
        Conflict(str(region), "1", "2", "3", "both changed 12 samples", region),
    )
    oids = {side: git.resolve(name, project.git_root) for side, name in COMMITS.items()}
    three = Three(PATH, b"base\n", b"ours\n", None)
    path = conflict_file.write(project, three, Place(project, oids), Merged(b"<<<<<<< ours\n", conflicts))

    text = path.read_text(encoding="utf-8")
    assert path.name == "scan.em.yaml.conflict.yaml"
    assert "#   ours    300 kV\n" in text
    assert "#   theirs  not there\n" in text
    assert "# theirs  tilt, Ernst Ruska, 20" in text
    assert "emdvc merge --resolve scan.em.yaml theirs --key beam.energy\n" in text

    kept = conflict_file.read(path)
    assert kept.three(project) == three
    assert kept.place(project).commits == oids
    assert [one.key for one in kept.open] == ["beam.energy", "labels[0:16, 32:48]"]
    assert kept.questions[1].region == region
    assert kept.sides[Side.OURS].name == "main"
    assert kept.sides[Side.OURS].mode == "100644"
    assert kept.sides[Side.THEIRS].blob is None
    assert text_of(kept, project) == text

    answers = (
        replace(kept.questions[0], chosen=Edited(quantity(1, "keV"))),
        replace(kept.questions[1], chosen=Side.BASE),
    )
    conflict_file.save(project, answered := replace(kept, questions=answers))
    assert conflict_file.read(path) == answered
    assert answered.choices() == {"beam.energy": Edited(quantity(1, "keV")), str(region): Side.BASE}


COMMITS = {Side.BASE: "main~1", Side.OURS: "main", Side.THEIRS: "tilt"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 2\n", "another emdvc"),
        ("version: 1\nfile: a\n", "is damaged"),
        ("version: 1\nfile: a\nsides: {}\nconflicts: [{key: a}]\n", "is damaged"),
        ("- 1\n", "holds no mapping"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_a_damaged_conflict_file_is_said_to_be(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.conflict.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError, match=says) as raised:
        parsed(path)
    assert raised.value.code == Code.PROJECT_BROKEN


def test_a_side_that_git_has_lost_is_said(project: Project) -> None:
    sides = {side: SideFile("0" * 39 + "1", "100644") for side in Side}
    with pytest.raises(ProjectError, match="not in git any more"):
        ConflictFile(PATH, sides, ()).three(project)


def test_what_git_left_gets_conflict_files(project: Project) -> None:
    made = conflict_file.from_index(project)
    assert [str(one.path) for one in made] == ["gone.txt", "notes.txt", "params.yaml", "pic.bin", "scan.em.yaml"]
    assert [one.key for one in made[4].questions] == ["beam.current", "beam.energy"]
    assert made[0].as_a_whole
    assert made[0].questions[0].ours == "not there"
    assert [one.key for one in made[1].questions] == ["place 1", "place 2"]
    assert made[2].questions[0].theirs == "14 mrad"
    assert conflict_file.from_index(project) == []
    assert [one.path for one in conflict_file.all_in(project)] == [one.path for one in made]


def test_a_conflict_file_of_a_merge_that_was_given_up_is_no_answer_to_another(project: Project) -> None:
    conflict_file.from_index(project)
    root = project.git_root
    git.run(["merge", "--abort"], root)
    assert conflict_file.all_in(project) == []
    (root / "notes.txt").write_text("other\n", encoding="utf-8")
    git.run(["commit", "-qam", "Other"], root)
    git.run(["merge", "-q", "tilt"], root, accept=(1,))
    assert PurePosixPath("notes.txt") in [one.path for one in conflict_file.from_index(project)]
    kept = conflict_file.read(root / place_of(PurePosixPath("notes.txt")))
    assert kept.three(project).ours == b"other\n"


def test_who_edits_the_markers_away_has_answered(project: Project) -> None:
    conflict_file.from_index(project)
    file = project.git_root / PATH
    asked = {
        PurePosixPath("gone.txt"),
        PurePosixPath("notes.txt"),
        PurePosixPath("params.yaml"),
        PurePosixPath("pic.bin"),
    }
    file.write_text("beam: [\n", encoding="utf-8")
    assert {one.path for one in conflict_file.all_in(project)} == asked | {PATH}
    file.write_text("beam: {}\nschema_version: 1\n", encoding="utf-8")
    assert {one.path for one in conflict_file.all_in(project)} == asked


def test_added_with_its_markers_it_is_still_open(project: Project) -> None:
    conflict_file.from_index(project)
    git.run(["add", "scan.em.yaml", "params.yaml"], project.git_root)
    open_now = [str(one.path) for one in conflict_file.all_in(project)]
    assert {"scan.em.yaml", "params.yaml"} <= set(open_now)


def test_markers_of_any_length_are_seen_and_nothing_else() -> None:
    assert has_markers(b"a\n<<<<<<< ours\nb\n>>>>>>> theirs\n")
    assert has_markers(b"<<<<<<<<<<\r\nb\r\n>>>>>>>>>>\r\n")
    assert not has_markers(b"<<<<<<< only one\n")
    assert not has_markers(b"  <<<<<<< ours\n  >>>>>>> theirs\n")
    assert not has_markers(None)


boxes = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 5)).map(lambda one: (one[0], one[0] + one[1])), min_size=2, max_size=2
).map(tuple)


def samples(box: regions_seen.Box) -> set[tuple[int, int]]:
    (top, bottom), (left, right) = box
    return {(y, x) for y in range(top, bottom) for x in range(left, right)}


@given(boxes, st.lists(boxes, max_size=3))
def test_pieces_are_the_box_and_lie_on_one_side_of_each_cut(
    box: regions_seen.Box, cuts: list[regions_seen.Box]
) -> None:
    pieces = regions_seen.split([box], cuts)
    found = [samples(piece) for piece in pieces]
    assert sum(map(len, found)) == len(samples(box))
    assert set().union(*found) == samples(box)
    for cut in cuts:
        assert all(piece <= samples(cut) or not piece & samples(cut) for piece in found)


@given(boxes)
def test_a_region_is_read_as_it_is_written(box: regions_seen.Box) -> None:
    region = Region("labels", box)
    assert regions_seen.parsed(str(region)) == ("labels", box)
    assert regions_seen.parsed(str(region).removeprefix("labels[").removesuffix("]")) == (None, box)
    assert regions_seen.named([str(region), "labels2[0:1, 0:1]", "beam.energy"], "labels") == [box]


def test_a_question_keeps_its_answer_until_it_is_asked_again() -> None:
    first, second = (Question(key, "why", "1", "2", "3") for key in "ab")
    kept = ConflictFile(PATH, {}, (first, second))
    again = Conflict("b", 1, 2, 3, "why")
    answered = kept.answered({"a": Side.OURS}, Merged(b"x", (again,)))
    assert [(one.key, one.chosen) for one in answered.questions] == [("a", Side.OURS), ("b", None)]
    assert [one.key for one in answered.open] == ["b"]
    other = answered.answered({}, Merged(b"x", (Conflict("c", 1, 2, 3, "why"),)))
    assert [one.key for one in other.questions] == ["a", "c"]
