"""A user's own step: what it may take and give, that it runs as any other, and that its errors show its own lines."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import emdvc
from emdvc.engine.run import prepare, run_step
from emdvc.errors import Code, EmdvcError, StepError
from emdvc.render.steps import as_text, describe
from emdvc.steps import user, user_script
from emdvc.steps.contract import Place, Reference, WholeStep
from emdvc.steps.registry import find
from emdvc.steps.user_returns import Returns

from .conftest import dataset, run

HALO = '''\
import emdvc


@emdvc.step(core=("ky", "kx"), outputs="counts")
def halo(frame, calibration: emdvc.Calibration, inner: emdvc.Radius = "4px"):
    """Counts beyond a radius: the halo around the beam.

    All that the beam itself does not explain.
    """
    return frame[calibration.mask(inner)].sum()
'''

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a script, `scripts/halo.py` of a project in which the test then works."""
    (tmp_path / "scripts").mkdir()
    monkeypatch.chdir(tmp_path)

    def written(text: str, name: str = "halo.py") -> Path:
        (tmp_path / "scripts" / name).write_text(text, encoding="utf-8")
        return tmp_path / "scripts" / name

    return written


@pytest.fixture
def scan() -> NDArray[np.uint16]:
    return np.random.default_rng(5).poisson(3, (5, 6, 12, 14)).astype(np.uint16)


def step_text(body: str, signature: str = "frame", decorator: str = 'core=("ky", "kx")') -> str:
    return f"import numpy as np\n\nimport emdvc\n\n\n@emdvc.step({decorator})\ndef halo({signature}):\n{body}\n"


# --- what it takes and gives ------------------------------------------------------------------------------------------


def test_it_gives_what_the_step_of_emdvc_gives(write: Write, scan: NDArray[np.uint16]) -> None:
    """All beyond a radius is a virtual detector without an outer edge: the same numbers, unit and dimensions."""
    write(HALO)
    opened = dataset(scan, "y x ky kx", diffraction__center="5.5,7px")
    mine = run("scripts/halo.py::halo", opened, inner="4px")["halo"]
    known = run("virtual_detector", opened, inner="4px", outer="100px")["image"]
    assert np.array_equal(mine.values, known.values)
    assert (mine.dims, mine.unit, mine.values.dtype) == (("y", "x"), "counts", np.uint64)


def test_the_unit_of_a_radius_decides_what_is_read(write: Write, scan: NDArray[np.uint16]) -> None:
    write(HALO)
    step = find("scripts/halo.py")
    keys = {unit: step.metadata(step.Parameters(inner=f"4 {unit}")) for unit in ("px", "1/angstrom", "mrad")}
    assert keys == {
        "px": ("diffraction.center",),
        "1/angstrom": ("diffraction",),
        "mrad": ("beam.energy", "diffraction"),
    }
    opened = dataset(scan, "y x ky kx", diffraction__pixel_size="0.02/angstrom", beam__energy="200keV")
    pixels = run("scripts/halo.py", opened, inner="4px")["halo"].values
    # 0.02 1/angstrom at 200 keV (2.5079 pm) is 0.50158 mrad
    assert np.array_equal(pixels, run("scripts/halo.py", opened, inner="2.00634mrad")["halo"].values)
    assert np.array_equal(pixels, run("scripts/halo.py", opened, inner="0.08/angstrom")["halo"].values)


def test_a_block_of_frames(write: Write, scan: NDArray[np.uint16]) -> None:
    write(
        step_text(
            '    rows = frames.sum(axis=2, dtype="u8")\n'
            "    half = frames[:, :6] * np.float32(0.5)\n"
            '    return {"rows": rows, "half": half, "total": emdvc.Sum(frames.sum(axis=0))}',
            "frames",
            'core=("ky", "kx"), per="block", '
            'outputs={"rows": emdvc.Output("counts", ("ky",)), "half": "", "total": ""}',
        )
    )
    found = run("scripts/halo.py", dataset(scan, "y x ky kx"))
    assert np.array_equal(found["rows"].values, scan.sum(axis=3))
    assert found["rows"].dims == ("y", "x", "ky")
    assert np.array_equal(found["half"].values, scan[:, :, :6] / 2)
    assert (found["half"].dims, found["half"].values.dtype) == (("y", "x", "half_0", "half_1"), np.float32)
    assert np.array_equal(found["total"].values, scan.sum(axis=(0, 1)))
    assert found["total"].dims == ("ky", "kx")


def test_whole_numbers_are_summed_exactly(write: Write) -> None:
    """Above 2^53, where a float would lose the last digit, and of frames of one byte, where 8 bits would overflow."""
    write(step_text('    return {"big": emdvc.Sum(2**53 + 1), "pattern": emdvc.Sum(frame)}'))
    found = run("scripts/halo.py", dataset(np.full((4, 5, 3, 3), 255, "u1"), "y x ky kx"))
    assert int(found["big"].values) == 20 * (2**53 + 1)
    assert np.array_equal(found["pattern"].values, np.full((3, 3), 20 * 255))


def test_whole_arrays_by_name(write: Write) -> None:
    write(
        step_text(
            '    return {"angle": np.arctan2(com_y, com_x) * turns, "spread": com_y.std(), "row": com_x[0]}',
            "com_y, com_x, turns: int = 1",
            'core=("y", "x"), per="whole", arrays=("com_y", "com_x"), '
            'outputs={"angle": emdvc.Output("deg", signed=True), "spread": "px", "row": emdvc.Output("px", ("x",))}',
        )
    )
    step = find("scripts/halo.py")
    assert isinstance(step, WholeStep)
    assert step.signals(step.Parameters()) == ("com_y", "com_x")
    y, x = np.random.default_rng(2).normal(size=(2, 3, 4))
    opened = dataset(y, "y x")
    (first,) = opened.variables
    arrays = [replace(first, name="com_y"), replace(dataset(x, "y x").variables[0], name="com_x")]
    opened.variables = tuple(arrays)
    result = run_step(step, step.Parameters(turns=2, negative="allow"), opened, name="com", threads=1)
    found = {variable.name: variable for variable in result.variables}
    assert np.array_equal(found["angle"].values, np.arctan2(y, x) * 2)
    assert (found["angle"].dims, found["angle"].unit, found["angle"].signed) == (("y", "x"), "deg", True)
    assert float(found["spread"].values) == y.std()
    assert found["row"].dims == ("x",)


def test_another_dataset_comes_as_its_array(write: Write, scan: NDArray[np.uint16]) -> None:
    write(step_text("    return np.maximum(frame.astype('i4') - dark, 0).sum()", "frame, dark: emdvc.DataPath"))
    step = find("scripts/halo.py")
    parameters = step.Parameters(dark="raw/dark.npy::image")
    assert {role: wanted.path for role, wanted in step.references(parameters).items()} == {
        "dark": "raw/dark.npy::image"
    }
    dark = np.full((12, 14), 2, "i4")
    reference = Reference({"image": dark}, {"image": ("ky", "kx")}, {}, "raw/dark.npy")
    result = run_step(
        step, parameters, dataset(scan, "y x ky kx"), name="scan", references={"dark": reference}, threads=1
    )
    assert np.array_equal(result.variables[0].values, np.maximum(scan.astype("i4") - 2, 0).sum(axis=(2, 3)))


def test_spectra_with_their_energies(write: Write) -> None:
    write(
        step_text(
            '    energies = calibration.coordinates("energy", "keV")\n'
            '    edge = edge.to("keV").value\n'
            "    return spectrum[energies >= edge].sum()",
            "spectrum, calibration: emdvc.Calibration, edge: emdvc.Energy",
            'core="energy"',
        )
    )
    spectra = np.random.default_rng(1).poisson(2, (3, 4, 50)).astype("u4")
    found = run("scripts/halo.py", dataset(spectra, "y x energy", energy=(100.0, 10.0)), edge="0.3keV")["halo"]
    assert np.array_equal(found.values, spectra[:, :, 20:].sum(axis=2))
    step = find("scripts/halo.py")
    assert step.metadata(step.Parameters(edge="300eV")) == ("axes.energy",)


def test_a_function_that_numba_compiled(write: Write, scan: NDArray[np.uint16]) -> None:
    body = "    total = 0.0\n    for count in frame.flat:\n        total += count**power\n    return total"
    text = step_text(body, "frame, power: float = 2.0").replace("def halo", "@numba.njit(nogil=True)\ndef halo")
    write(f"import numba\n{text}")
    found = run("scripts/halo.py", dataset(scan, "y x ky kx"), power=3.0)["halo"].values
    assert np.array_equal(found, (scan.astype("f8") ** 3).sum(axis=(2, 3)))
    assert find("scripts/halo.py").Parameters.model_fields["power"].default == 2.0


def test_a_single_frame_without_a_scan(write: Write) -> None:
    write(step_text("    return frame.max()"))
    found = run("scripts/halo.py", dataset(np.arange(12, dtype="u2").reshape(3, 4), "ky kx"))["halo"]
    assert (found.dims, int(found.values)) == ((), 11)


def test_it_is_documented_like_any_other(write: Write) -> None:
    write(HALO)
    description = describe(find("scripts/halo.py::halo"))
    assert description["summary"] == "Counts beyond a radius: the halo around the beam"
    assert description["doc"].endswith("All that the beam itself does not explain.")
    assert description["parameters"][0] == {
        "name": "inner", "type": "quantity", "unit": "px, 1/angstrom or mrad", "default": "4px", "required": False,
        "doc": "",
    }  # fmt: skip
    assert description["outputs"] == [{"name": "halo", "dims": ["y", "x"], "unit": "counts", "title": "halo"}]
    assert "scripts/halo.py::halo" in as_text(description)


def test_called_directly_it_is_the_function(write: Write) -> None:
    """As a person's own test calls it: with parameters as they are written, checked."""
    path = write(step_text("    return (frame > inner.to('px').value).sum() + n", "frame, inner: emdvc.Radius, n=1"))
    (function,) = [v for v in vars(user_script.load(path).module).values() if isinstance(v, user.StepFunction)]
    assert function(np.arange(10), "4px") == 6
    assert function(np.arange(10), inner="7 px", n=5) == 7
    assert function.__name__ == "halo"
    assert function.step.Parameters(inner="4px").n == 1
    with pytest.raises(StepError, match="inner: is given in px"):
        function(np.arange(10), inner="4eV")
    with pytest.raises(StepError, match="has no parameter 'm'"):
        function(np.arange(10), "4px", m=5)


# --- the same anywhere ------------------------------------------------------------------------------------------------


def test_any_number_of_threads_gives_the_same_bytes(write: Write) -> None:
    write(step_text('    return {"mean": frame.mean(), "rows": frame.sum(axis=1), "all": emdvc.Sum(np.sqrt(frame))}'))
    values = np.random.default_rng(3).poisson(3, (16, 17, 12, 14)).astype(np.uint16)
    one, two = (run("scripts/halo.py", dataset(values, "y x ky kx"), threads) for threads in (1, 2))
    for name in ("mean", "rows", "all"):
        assert one[name].values.tobytes() == two[name].values.tobytes()


def test_another_process_loads_the_script_itself(write: Write, scan: NDArray[np.uint16]) -> None:
    """As on a cluster: the plan, the step and the parameters travel; the function is found by its script's path."""
    write("FACTOR = 3\n", "common.py")
    write("from enum import Enum\n\nimport common\n" + step_text(
        "    return frame.sum() * common.FACTOR + kind.value",
        "frame, kind: Kind, inner: emdvc.Radius = '3px'",
    ).replace("@emdvc", "class Kind(Enum):\n    A = 1\n    B = 2\n\n\n@emdvc"))  # fmt: skip
    step = find("scripts/halo.py::halo")
    parameters = step.Parameters(kind=2)
    opened = dataset(scan, "y x ky kx")
    plan = prepare(step, parameters, opened, opened.variable(), "scan", {})
    place = Place((slice(0, 5), slice(0, 6)))
    frames = scan.reshape(-1, 12, 14)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        theirs = pool.submit(plan.block, frames, place).result()
        again = pool.submit(tuple, (step, parameters, plan)).result()  # there, and back
    assert theirs.maps["halo"].tobytes() == plan.block(frames, place).maps["halo"].tobytes()
    assert np.array_equal(theirs.maps["halo"], frames.sum(axis=(1, 2)) * 3 + 2)
    assert (again[0].name, again[1].model_dump(), again[2].outputs) == (
        step.name, parameters.model_dump(), plan.outputs,
    )  # fmt: skip


def test_a_script_that_was_changed_is_not_mixed(write: Write, scan: NDArray[np.uint16]) -> None:
    path = write(step_text("    return frame.sum()"))
    opened = dataset(scan, "y x ky kx")
    step = find("scripts/halo.py")
    pickled = pickle.dumps(prepare(step, step.Parameters(), opened, opened.variable(), "scan", {}))
    pickle.loads(pickled)
    path.write_text(step_text("    return frame.max()"))
    pickle.loads(pickled)  # this process still has what it loaded
    find("scripts/halo.py")
    with pytest.raises(StepError, match="was changed while it ran"):
        pickle.loads(pickled)


# --- scripts ----------------------------------------------------------------------------------------------------------


def test_a_changed_script_or_module_beside_it_is_run_anew(write: Write, scan: NDArray[np.uint16]) -> None:
    """Even where size and time of the file stay: what counts are the bytes."""
    write("FACTOR = 3\n", "common.py")
    write("import far\nFACTOR = far.FACTOR\n", "near.py")
    write("import common\nFACTOR = common.FACTOR\n", "far.py")
    write("from near import FACTOR\n" + step_text("    return int(frame.sum()) * FACTOR"))
    opened = dataset(scan, "y x ky kx")
    three = run("scripts/halo.py", opened)["halo"].values
    write("FACTOR = 4\n", "common.py")
    assert np.array_equal(run("scripts/halo.py", opened)["halo"].values * 3, three * 4)
    assert [path.name for path in find("scripts/halo.py").sources] == ["halo.py", "common.py", "far.py", "near.py"]
    assert not list(Path("scripts").glob("__pycache__"))
    assert str(Path("scripts").absolute()) not in sys.path


def test_scripts_without_steps_are_not_run(write: Write) -> None:
    write(HALO)
    write("import emdvc\nraise SystemExit('simulating...')\n", "simulate.py")
    write("@step()\ndef other():\n    pass\n", "other.py")
    write("def (:\n", "broken.py")
    assert user.scripts(Path()) == ("scripts/halo.py",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("scripts/helo.py", HALO, ["there is no script 'scripts/helo.py'", "did you mean scripts/halo.py?"]),
        ("scripts/halo.py::helo", HALO, ["defines no step 'helo'", "did you mean scripts/halo.py::halo?"]),
        ("scripts/halo.py", HALO + HALO.replace("def halo", "def ring"), ["several steps", "halo, ring", "::halo"]),
        ("scripts/halo.py", "import emdvc\n", ["scripts/halo.py defines no step", "@emdvc.step("]),
        (
            "scripts/halo.py",
            "import emdvc\n\ndef (:\n",
            ["is no Python", "halo.py:3: invalid syntax\n    def (:"],
        ),
        ("scripts/halo.py", "import nonesuch\n", ["scripts/halo.py:1: ModuleNotFoundError", "beside it"]),
        ("scripts/halo.py", "x = 1\nraise SystemExit('bye')\n", ["scripts/halo.py:2: SystemExit: bye"]),
        (
            "scripts/halo.py",
            "def f():\n    1 / 0\nf()\n",
            ["halo.py:2 in f: Zero", "called from scripts/halo.py:3"],
        ),
        ("scripts/halo.py", HALO.replace("core=", "cor="), ["scripts/halo.py:4: TypeError", "'cor'"]),
    ],
)
def test_what_is_wrong_with_a_script(write: Write, name: str, text: str, said: list[str]) -> None:
    write(text)
    with pytest.raises(StepError) as caught:
        find(name)
    assert caught.value.code in (Code.STEP_UNKNOWN, Code.STEP_USER)
    for part in said:
        assert part in str(caught.value)


def test_a_module_beside_it_must_not_hide_an_installed_one(write: Write) -> None:
    write("x = 1\n", "zarr.py")
    write("import zarr\n" + HALO)
    with pytest.raises(StepError, match=r"scripts/zarr.py has the name of an installed module"):
        find("scripts/halo.py")


@pytest.mark.parametrize(
    ("signature", "decorator", "said"),
    [
        ("frame, n", 'core="kx"', "the parameter 'n' has no type"),
        ("frame, n: 'Nothing'", 'core="kx"', "NameError: name 'Nothing' is not defined"),
        ("frame, negative: int = 1", 'core="kx"', "has the parameter 'negative' already"),
        ("frame, model_x: int = 1", 'core="kx"', "'model_x' cannot name a parameter"),
        ("frame, *more", 'core="kx"', "cannot take *more"),
        ("", 'core="kx"', "must take the frame first"),
        ("a", 'core="kx", per="whole", arrays=("a", "b")', "must take 2 arrays first"),
        ("frame", 'core="kx", arrays=("a",)', 'per="whole"'),
        ("frame", "core=()", "core names the dimensions"),
        ("frame", 'core="kx", per="pixel"', "per is one of frame, block, whole"),
        ("frame", 'core="kx", metadata="beam.enrgy"', "did you mean beam.energy?"),
        ("frame", 'core="kx", outputs="conts/foo"', "unknown unit 'conts/foo'"),
        ("frame", 'core="kx", outputs={"a b": ""}', "'a b' cannot name an output"),
        ("frame", 'core="kx", outputs={"a": emdvc.Output(dtype="complex")}', "unknown type 'complex'"),
    ],
)
def test_what_cannot_be_declared(write: Write, signature: str, decorator: str, said: str) -> None:
    """The error names the function's line: the decorator is in line 6, the function in line 7."""
    write(step_text("    return 1", signature, decorator))
    with pytest.raises(StepError) as caught:
        find("scripts/halo.py")
    assert said in str(caught.value)
    assert "scripts/halo.py:7 in halo" in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"inner": "4eV"}, "inner: is given in px or 1/angstrom or mrad"),
        ({"iner": "4px"}, "did you mean inner?"),
    ],
)
def test_parameters_are_checked_as_those_of_any_step(write: Write, parameters: dict[str, Any], said: str) -> None:
    from emdvc.steps.parameters import validate

    write(HALO)
    with pytest.raises(StepError) as caught:
        validate(find("scripts/halo.py"), parameters)
    assert said in str(caught.value)


# --- errors of the function -------------------------------------------------------------------------------------------

# one frame is empty, the others are not: at y=3, x=1
EMPTY = np.ones((5, 6, 4, 4), np.uint16)
EMPTY[3, 1] = 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "    total = int(frame.sum())\n    return share(total)\n\n\ndef share(total):\n    return 1 / total",
            [
                "halo failed at y=3, x=1",
                "scripts/halo.py:13 in share: ZeroDivisionError: division by zero\n    return 1 / total",
                "called from scripts/halo.py:9 in halo\n    return share(total)",
            ],
        ),
        ("    frame -= 1\n    return 1", ["scripts/halo.py:8 in halo: ValueError", "frame.copy()"]),
        ("    return frame.summ()", ["made-up counts", "scripts/halo.py:8 in halo: AttributeError"]),
        ("    return np.zeros(3) @ np.zeros(4)", ["scripts/halo.py:8 in halo: ValueError: matmul"]),
        ("    return None", ["scripts/halo.py:7 in halo: it returned None"]),
        ("    return 'high'", ["no array of numbers for halo", "scripts/halo.py:7 in halo: it is a str"]),
        ("    return [[1, 2], [3]]", ["no array of numbers"]),
        ("    return {}", ["returned no output"]),
        ("    return {1: 2}", ["1 cannot name an output"]),
        ("    return {'x': 2}", ["'x' names a dimension"]),
        ("    return 1j", ["no array of numbers"]),
        ("    return {'a': 1} if frame.any() else {'b': 1}", ["the same names", "here b, first a; at y=3, x=1"]),
        ("    return np.ones(3 if frame.any() else 2)", ["the same shape", "halo is (2,) here, and (3,) first"]),
        ("    return 1 if frame.any() else 0.5", ["the same type of numbers", "float64 here, and int64 first"]),
        ("    return emdvc.Sum(1) if frame.any() else 1", ["must be a Sum for every frame"]),
        ("    import sys\n    sys.exit(3)", ["scripts/halo.py:9 in halo: SystemExit: 3"]),
        ("    raise RuntimeError('\\n'.join('abcdefgh'))", ["RuntimeError: a\n    b", "f\n    ..."]),
    ],
)
def test_errors_show_the_line_of_the_script(write: Write, body: str, said: list[str]) -> None:
    write(step_text(body))
    with pytest.raises(StepError) as caught:
        run("scripts/halo.py", dataset(EMPTY, "y x ky kx"), 2)
    text = str(caught.value)
    assert caught.value.code == Code.STEP_USER
    assert caught.value.exit_status == 2
    for part in said:
        assert part in text
    assert "emdvc/" not in text


@pytest.mark.parametrize(
    ("body", "declared", "said"),
    [
        ("    return {'a': 1}", '{"a": "", "b": ""}', "it returned a; it declares a, b"),
        ("    return {'a': frame}", '{"a": emdvc.Output(dims=("ky",))}', "it declares (ky), its shape is (4, 4)"),
        ("    return {'a': frame[0, :3]}", '{"a": emdvc.Output(dims=("kx",))}', "it has 3, where 4 is"),
        ("    return {'a': frame[0]}", '{"a": emdvc.Output(dims=("y",))}', "does not fit along y"),
        (
            "    return {'a': frame[0, :2], 'b': frame[0, :3]}",
            '{"a": emdvc.Output(dims=("k",)), "b": emdvc.Output(dims=("k",))}',
            "b does not fit along k",
        ),
    ],
)
def test_what_is_declared_must_come(write: Write, body: str, declared: str, said: str) -> None:
    write(step_text(body, decorator=f'core=("ky", "kx"), outputs={declared}'))
    with pytest.raises(StepError) as caught:
        run("scripts/halo.py", dataset(EMPTY, "y x ky kx"))
    assert said in str(caught.value)
    assert "scripts/halo.py:7 in halo" in str(caught.value)


def test_a_block_must_come_back_whole(write: Write) -> None:
    write(step_text("    return frames.sum()", "frames", 'core=("ky", "kx"), per="block"'))
    with pytest.raises(StepError, match="one halo for each frame of the block"):
        run("scripts/halo.py", dataset(EMPTY, "y x ky kx"))
    write(step_text("    1 / int(frames.sum(axis=(1, 2)).min())\n    return frames.sum(axis=(1, 2))", "frames",
                    'core=("ky", "kx"), per="block"'))  # fmt: skip
    with pytest.raises(StepError, match=r"halo failed at y=\d:\d, x=\d:\d"):
        run("scripts/halo.py", dataset(EMPTY, "y x ky kx"))


def test_metadata_that_is_not_declared_cannot_be_read(write: Write, scan: NDArray[np.uint16]) -> None:
    """Else a change of it would not rerun the stage."""
    body, signature = '    return calibration.quantity("beam.energy").value', "frame, calibration: emdvc.Calibration"
    opened = dataset(scan, "y x ky kx", beam__energy="200keV")
    write(step_text(body, signature))
    with pytest.raises(StepError) as caught:
        run("scripts/halo.py", opened)
    assert "scripts/halo.py:8 in halo: LookupError: beam.energy is metadata" in str(caught.value)
    assert 'metadata=("beam.energy",)' in str(caught.value)
    write(step_text(body, signature, 'core=("ky", "kx"), metadata="beam.energy"'))
    assert (run("scripts/halo.py", opened)["halo"].values == 200).all()


def test_a_calibration_that_lacks_is_asked_for(write: Write, scan: NDArray[np.uint16]) -> None:
    write(HALO)
    with pytest.raises(EmdvcError) as caught:
        run("scripts/halo.py", dataset(scan, "y x ky kx"), inner="4mrad")
    assert caught.value.code == Code.METADATA_MISSING
    assert caught.value.hint == "emdvc add scan --set diffraction.pixel_size=0.02/angstrom"


# --- numbers ----------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["b1", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", ">u2", ">f4"]),
    st.sampled_from([(), (3,), (2, 3)]),
)
def test_numbers_keep_their_values(dtype: str, shape: tuple[int, ...]) -> None:
    """Whatever type comes back, the values stay, in the machine's byte order; single numbers become 64 bits wide."""
    values = np.ones(shape, dtype)
    returns = Returns("f", test_numbers_keep_their_values.__code__)
    (layout,) = returns.layouts(values, {"ky": 5}, (), frames=None)
    (array,) = returns.fit(values, (layout,), None)
    assert array.dtype == layout.dtype
    assert array.dtype.isnative
    assert np.array_equal(array, values)
    assert shape or array.dtype.itemsize == 8 or dtype == "b1"


def test_the_names_come_with_emdvc() -> None:
    assert emdvc.step is user.step
    for name in ("Calibration", "DataPath", "Energy", "Output", "Position", "Radius", "Sum", "step"):
        assert name in emdvc.__all__
        assert getattr(emdvc, name) is getattr(user, name)
