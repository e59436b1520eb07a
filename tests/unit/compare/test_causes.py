"""Why a result changed, from texts written by hand: each test plants one change and names it."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.search import causes
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot
from emdvc.model.quantity import Quantity

OUT = "results/image.zarr"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Stage:
    """One entry of dvc.lock; `out` is what its output holds."""

    cmd: str = "emdvc run virtual_detector raw/scan.npy results/image.zarr"
    deps: dict[str, str] = field(default_factory=lambda: {"raw/scan.npy": md5("scan")})
    params: str = ""
    outs: dict[str, str] = field(default_factory=lambda: {OUT: "one"})

    def text(self, name: str) -> str:
        lines = [f"  {name}:", f"    cmd: {self.cmd}"]
        if self.deps:
            lines.append("    deps:")
        for path, checksum in self.deps.items():
            lines += [f"    - path: {path}", "      hash: md5", f"      md5: {checksum}"]
        if self.params:
            lines += ["    params:", *(f"      {line}" for line in self.params.splitlines())]
        lines.append("    outs:")
        for path, content in self.outs.items():
            lines += [f"    - path: {path}", "      hash: md5", f"      md5: {md5(content)}.dir"]
        return "\n".join(lines) + "\n"


def lock(**stages: Stage) -> str:
    return "schema: '2.0'\nstages:\n" + "".join(stage.text(name) for name, stage in stages.items())


@dataclass
class Repository:
    """A project whose files are written as they come; each call of :meth:`commit` is a revision."""

    root: Path

    def commit(self, files: dict[str, str | bytes | None]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        for arguments in (["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "next"]):
            subprocess.run(["git", *arguments], cwd=self.root, check=True)

    def why(self, path: str = OUT, old: str = "HEAD~1", new: str | None = "HEAD", **more: str) -> tuple[Cause, ...]:
        project = Project.find(self.root)
        renamed = {name: PurePosixPath(value) for name, value in more.items()}
        with Snapshot(project, old) as before, Snapshot(project, new) as after:
            return causes(before, after, PurePosixPath(path), **renamed)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Repository(root)


def two(repository: Repository, before: Stage, after: Stage, **files: str) -> tuple[Cause, ...]:
    """Return the causes between two runs of one stage."""
    repository.commit({"dvc.lock": lock(image=before), **files})
    repository.commit({"dvc.lock": lock(image=after)})
    return repository.why()


def test_a_parameter_with_its_units(repository: Repository) -> None:
    found = two(
        repository,
        Stage(params="params.yaml:\n  image:\n    inner: 1px\n    outer: 20 px\n    unit: 1/nm"),
        Stage(params="params.yaml:\n  image:\n    inner: 1 px\n    outer: 22px\n    unit: 1/nm", outs={OUT: "two"}),
    )
    assert found == (
        Cause(CauseKind.PARAMETER, "params.yaml", "image.outer", Quantity(20, "px"), Quantity(22, "px")),
    ), "1px and 1 px are the same"


@pytest.mark.parametrize(
    ("before", "after"), [("20 mrad", "0.02 rad"), ("0.2 MeV", "200 keV"), ("8,8px", "8, 8 px"), ("20px", "20.0 px")]
)
def test_what_measures_the_same_is_a_cause_only_when_nothing_else_is(
    repository: Repository, before: str, after: str
) -> None:
    stages = [
        Stage(params=f"params.yaml:\n  image:\n    outer: {text}\n    n: {n}", outs={OUT: str(n)})
        for text, n in ((before, 1), (after, 2), (before, 2))
    ]
    found = two(repository, stages[0], stages[1])
    assert [cause.key for cause in found] == ["image.n"]
    # a plain script may read the text itself: the bytes differ, and nothing else does
    stages[2].outs = {OUT: "other"}
    repository.commit({"dvc.lock": lock(image=stages[2])})
    (cause,) = repository.why()
    assert (cause.key, cause.before, cause.after) == ("image.outer", after, before)


def test_a_metadata_key_of_an_input(repository: Repository) -> None:
    text = "raw/scan.npy.em.yaml:\n  diffraction:\n    pixel_size:\n      value: {}\n      unit: {}\n      origin: {}"
    stages = [
        Stage(params=text.format(*values), outs={OUT: values[0]})
        for values in (("0.02", "1/angstrom", "file"), ("0.022", "1/angstrom", "user"))
    ]
    (cause,) = two(repository, *stages)
    assert (cause.kind, cause.where, cause.key) == (CauseKind.METADATA, "raw/scan.npy", "diffraction.pixel_size")
    assert isinstance(cause.before, Quantity) and cause.before.same(Quantity(0.02, "1/angstrom"))
    assert isinstance(cause.after, Quantity) and cause.after.same(Quantity(0.022, "1/angstrom"))


def test_raw_data_that_was_replaced(repository: Repository) -> None:
    stages = Stage(), Stage(deps={"raw/scan.npy": md5("other")}, outs={OUT: "two"})
    assert two(repository, *stages) == (Cause(CauseKind.INPUT, "raw/scan.npy"),)


def test_an_input_more_and_an_input_less(repository: Repository) -> None:
    before = Stage(deps={"raw/scan.npy": "a" * 32, "raw/dark.npy": "b" * 32})
    after = Stage(deps={"raw/scan.npy": "a" * 32, "raw/gain.npy": "c" * 32}, outs={OUT: "two"})
    assert [(cause.where, cause.after) for cause in two(repository, before, after)] == [
        ("raw/dark.npy", "no longer read"),
        ("raw/gain.npy", "now read"),
    ]


def test_an_input_under_another_name_is_the_same_input(repository: Repository) -> None:
    cmd = "emdvc run virtual_detector raw/{}.npy results/image.zarr"
    before = Stage(cmd.format("scan"), params="params.yaml:\n  n: 1")
    after = Stage(
        cmd.format("grid"), deps={"raw/grid.npy": md5("scan")}, params="params.yaml:\n  n: 2", outs={OUT: "b"}
    )
    assert [cause.key for cause in two(repository, before, after)] == ["n"]


def test_the_version_of_a_step(repository: Repository) -> None:
    stages = [
        Stage(params=f".emdvc/steps.yaml:\n  virtual_detector: {version}", outs={OUT: str(version)})
        for version in (1, 2)
    ]
    assert two(repository, *stages) == (Cause(CauseKind.VERSION, "virtual_detector", before=1, after=2),)


def test_the_command_line(repository: Repository) -> None:
    stages = Stage("python count.py a"), Stage("python count.py a --twice", outs={OUT: "two"})
    assert two(repository, *stages) == (
        Cause(CauseKind.COMMAND, "image", before="python count.py a", after="python count.py a --twice"),
    )


def test_nothing_that_it_depends_on(repository: Repository) -> None:
    found = two(repository, Stage(), Stage(outs={OUT: "two"}), **{"params.yaml": "image:\n  outer: 3px\n"})
    assert found == (Cause(CauseKind.NONE, OUT),)


def test_no_causes_where_nothing_changed_and_where_a_result_came_or_went(repository: Repository) -> None:
    assert two(repository, Stage(params="params.yaml:\n  n: 1"), Stage(params="params.yaml:\n  n: 2")) == ()
    repository.commit({"dvc.lock": "schema: '2.0'\nstages: {}\n"})
    assert repository.why() == ()
    repository.commit({"dvc.lock": lock(image=Stage(outs={OUT: "new"}))})
    assert repository.why() == ()
    assert repository.why("raw/scan.npy") == (), "raw data has no causes"


SCRIPT = "import sys\n\nscale = 2\nprint(scale)\n"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (SCRIPT.replace("scale = 2", "scale = 3"), ("scale = 2", "scale = 3", 3, 1)),
        (SCRIPT.replace("\nscale", "import math\n\nscale"), (None, "import math", 2, 1)),
        (SCRIPT.replace("scale = 2\n", ""), ("scale = 2", None, 3, 1)),
        (SCRIPT.replace("2", "3").replace("print", "show") + "end\n", ("scale = 2", "scale = 3", 3, 3)),
    ],
)
def test_the_line_of_a_script(
    repository: Repository, new: str, expected: tuple[str | None, str | None, int, int]
) -> None:
    for number, text in enumerate((SCRIPT, new)):
        stage = Stage("python count.py", deps={"count.py": md5(text)}, outs={OUT: str(number)})
        repository.commit({"count.py": text, "dvc.lock": lock(image=stage)})
    (cause,) = repository.why()
    assert (cause.kind, cause.where) == (CauseKind.SCRIPT, "count.py")
    assert (cause.before, cause.after, cause.line, cause.lines) == expected


def test_a_script_that_was_edited_after_the_run_is_named_without_a_line(repository: Repository) -> None:
    for number, (text, ran) in enumerate(((SCRIPT, SCRIPT), (SCRIPT + "late = 1\n", SCRIPT + "ran = 1\n"))):
        stage = Stage("python count.py", deps={"count.py": md5(ran)}, outs={OUT: str(number)})
        repository.commit({"count.py": text, "dvc.lock": lock(image=stage)})
    assert repository.why() == (Cause(CauseKind.SCRIPT, "count.py"),)


def test_a_script_with_other_line_ends(repository: Repository) -> None:
    windows = SCRIPT.replace("2", "5").replace("\n", "\r\n")
    for number, text in enumerate((SCRIPT, windows)):
        stage = Stage("python count.py", deps={"count.py": md5(text)}, outs={OUT: str(number)})
        repository.commit({"count.py": text, "dvc.lock": lock(image=stage)})
    (cause,) = repository.why()
    assert (cause.before, cause.after, cause.line) == ("scale = 2", "scale = 5", 3)


def test_a_folder_of_scripts(repository: Repository) -> None:
    for number in (1, 2):
        stage = Stage("python tools/a.py", deps={"tools": f"{number}" * 32 + ".dir"}, outs={OUT: str(number)})
        files = {"tools/a.py": f"n = {number}\n", "tools/b.py": "same\n", "other.py": f"{number}\n"}
        repository.commit({**files, "dvc.lock": lock(image=stage)})
    assert [(cause.where, cause.after) for cause in repository.why()] == [("tools/a.py", "n = 2")]


def test_through_two_stages_direct_causes_first_and_each_once(repository: Repository) -> None:
    for number in (1, 2):
        pattern = Stage("a", deps={"raw/scan.npy": f"{number}" * 32}, outs={"sum.zarr": f"sum {number}"})
        fit = Stage("b", deps={"sum.zarr": md5(f"sum {number}") + ".dir"}, outs={"fit.zarr": f"fit {number}"})
        last = Stage(
            "c",
            deps={"fit.zarr": md5(f"fit {number}") + ".dir", "sum.zarr": md5(f"sum {number}") + ".dir"},
            params=f"params.yaml:\n  last: {number}",
            outs={OUT: str(number)},
        )
        repository.commit({"dvc.lock": lock(pattern=pattern, fit=fit, last=last)})
    assert [(cause.kind, cause.where, cause.through) for cause in repository.why()] == [
        (CauseKind.PARAMETER, "params.yaml", ()),
        (CauseKind.INPUT, "raw/scan.npy", ("pattern",)),
    ], "by the shorter of two ways"
    assert repository.why("fit.zarr")[0].through == ("pattern",)


def test_the_way_through_more_than_one_stage_begins_at_the_cause(repository: Repository) -> None:
    for number in (1, 2):
        stages = {
            "one": Stage("a", deps={"raw/x": f"{number}" * 32}, outs={"a.zarr": f"a{number}"}),
            "two": Stage("b", deps={"a.zarr": md5(f"a{number}") + ".dir"}, outs={"b.zarr": f"b{number}"}),
            "three": Stage("c", deps={"b.zarr": md5(f"b{number}") + ".dir"}, outs={OUT: str(number)}),
        }
        repository.commit({"dvc.lock": lock(**stages)})
    assert repository.why() == (Cause(CauseKind.INPUT, "raw/x", through=("one", "two")),)


def test_an_input_that_is_not_the_same_twice(repository: Repository) -> None:
    for number in (1, 2):
        noise = Stage("a", deps={"raw/x": "1" * 32}, outs={"noise.zarr": f"n{number}"})
        last = Stage("b", deps={"noise.zarr": md5(f"n{number}") + ".dir"}, outs={OUT: str(number)})
        repository.commit({"dvc.lock": lock(noise=noise, last=last)})
    assert repository.why() == (Cause(CauseKind.NONE, "noise.zarr", through=("noise",)),)


def test_a_key_that_a_stage_newly_declares_is_compared_with_what_stood_there(repository: Repository) -> None:
    params = "image:\n  outer: 4px\n  inner: 1px\n"
    declared = "params.yaml:\n  image.outer: 4px\n  image.inner: {}"
    before = Stage(params="params.yaml:\n  image.outer: 4px")
    repository.commit({"params.yaml": params, "dvc.lock": lock(image=before)})
    repository.commit({"dvc.lock": lock(image=Stage(params=declared.format("1px"), outs={OUT: "two"}))})
    assert repository.why() == (Cause(CauseKind.NONE, OUT),)
    repository.commit({"dvc.lock": lock(image=Stage(params=declared.format("2 px"), outs={OUT: "three"}))})
    (cause,) = repository.why(old="HEAD~2")
    assert (cause.key, cause.before, cause.after) == ("image.inner", Quantity(1, "px"), Quantity(2, "px"))


def test_a_pipeline_in_a_folder(repository: Repository) -> None:
    for number in (1, 2):
        stage = Stage(
            "python count.py ../raw/scan.npy",
            deps={"../raw/scan.npy": f"{number}" * 32, "count.py": md5(f"{number}\n")},
            params=f"params.yaml:\n  n: {number}",
            outs={"out.zarr": f"{number}"},
        )
        repository.commit({"part/dvc.lock": lock(count=stage), "part/count.py": f"{number}\n"})
    assert [(cause.kind, cause.where) for cause in repository.why("part/out.zarr")] == [
        (CauseKind.INPUT, "raw/scan.npy"),
        (CauseKind.PARAMETER, "part/params.yaml"),
        (CauseKind.SCRIPT, "part/count.py"),
    ]


def test_a_result_under_another_name(repository: Repository) -> None:
    cmd = "emdvc run virtual_detector raw/scan.npy {}"
    before = Stage(cmd.format(OUT), params="params.yaml:\n  n: 1")
    after = Stage(cmd.format("results/adf.zarr"), params="params.yaml:\n  n: 2", outs={"results/adf.zarr": "two"})
    repository.commit({"dvc.lock": lock(image=before)})
    repository.commit({"dvc.lock": lock(adf=after)})
    assert [cause.key for cause in repository.why("results/adf.zarr", before_path=OUT)] == ["n"]


def test_against_the_workspace_and_an_odd_layout_of_the_lock(repository: Repository) -> None:
    stage = Stage(params="params.yaml:\n  n: 1")
    repository.commit({"dvc.lock": lock(image=stage)})
    flow = (
        "{schema: '2.0', stages: {image: {cmd: x, params: {params.yaml: {n: 2}},"
        f" deps: [{{path: raw/scan.npy, md5: {md5('scan')}}}], outs: [{{path: {OUT}, md5: {md5('two')}.dir}}]}}}}}}\n"
    )
    (repository.root / "dvc.lock").write_text(flow)
    found = repository.why(old="HEAD", new=None)
    assert [(cause.kind, cause.key or cause.after) for cause in found] == [
        (CauseKind.PARAMETER, "n"),
        (CauseKind.COMMAND, "x"),
    ]


def test_nothing_slow_is_imported(repository: Repository) -> None:
    import sys

    two(repository, Stage(params="params.yaml:\n  n: 4px"), Stage(params="params.yaml:\n  n: 5 px", outs={OUT: "2"}))
    code = (
        "import sys; from pathlib import PurePosixPath as P; from emdvc.history.project import Project; "
        "from emdvc.history.snapshot import Snapshot; from emdvc.compare.causes.search import causes; "
        "p = Project.find(); "
        f"assert len(causes(Snapshot(p, 'HEAD~1'), Snapshot(p, 'HEAD'), P('{OUT}'))) == 1; "
        "heavy = {'numpy', 'dvc', 'pint', 'zarr', 'xarray', 'rich', 'pydantic'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
