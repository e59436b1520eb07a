"""Notebooks and external programs as stages: real kernels, real environments, real git and DVC."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

#: What a cell leaves that differs between two runs, or two machines, if nobody takes care.
_CELLS = [
    ("parameters", "width = 2\nname = 'none'"),
    ("", "import sys, warnings\nfor i in range(width):\n    print(i)\n    print('e', i, file=sys.stderr)"),
    ("", "import os\nwarnings.warn('careful')\nprint({'b', 'a', 'c'}, os.getcwd(), sys.prefix)"),
    ("", "text = open('../raw/scan.txt').read() * width\nopen('../results/sum.txt', 'w').write(text)\nname"),
]


def _notebook(path: Path, cells: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "no-such", "display_name": "None"}})
    for number, (tag, source) in enumerate(cells):
        metadata = {"tags": [tag]} if tag else {}
        notebook.cells.append(nbformat.v4.new_code_cell(source, metadata=metadata, id=f"cell{number}"))
    nbformat.write(notebook, path)
    return path


def _dvc(project: Path, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=project, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def _git(project: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=project, capture_output=True, encoding="utf-8", check=True).stdout


def _lock(project: Path, stage: str) -> dict[str, str]:
    outs = YAML(typ="safe").load(project / "dvc.lock")["stages"][stage]["outs"]
    return {out["path"]: out["md5"] for out in outs}


def _with_scan(project: Path) -> Path:
    (project / "raw").mkdir(exist_ok=True)
    (project / "raw" / "scan.txt").write_text("counts\n", encoding="utf-8")
    _dvc(project, "add", "-q", "raw/scan.txt")
    return project


def _executed_in_jupyter(path: Path) -> None:
    """Run all cells and save, as a person does: new outputs, counts, the kernel's name, the version of Python."""
    notebook = nbformat.read(path, as_version=4)
    for count, cell in enumerate(notebook.cells, start=1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text="seen\n")]
        cell.metadata["scrolled"] = True
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.99"}
    nbformat.write(notebook, path)


@pytest.mark.slow
def test_a_notebook_from_the_first_run_to_a_second_clone(tmp_path: Path, project: Path, emdvc: Emdvc) -> None:
    _with_scan(project)
    path = _notebook(project / "notebooks" / "look.ipynb", _CELLS)
    words = ("stage", "add", "notebook", "notebooks/look.ipynb", "-d", "raw/scan.txt", "-o", "results/sum.txt")
    emdvc(*words, "--set", "width=3", "--dry-run", cwd=project)
    assert not (project / "dvc.yaml").exists()
    said = emdvc(*words, "--set", "width=3", cwd=project).stdout
    assert "cmd" not in said and "emdvc run-notebook notebooks/look.ipynb results/look.ipynb" in said
    stage = YAML(typ="safe").load(project / "dvc.yaml")["stages"]["look"]
    assert stage == {
        "cmd": "emdvc run-notebook notebooks/look.ipynb results/look.ipynb",
        "deps": ["raw/scan.txt", "notebooks/look.ipynb"],
        "params": ["look"],
        "outs": ["results/look.ipynb", "results/sum.txt"],
    }
    # what the notebook itself assigns stands in params.yaml, but for what was set
    assert YAML(typ="safe").load(project / "params.yaml")["look"] == {"width": 3, "name": "none"}
    _dvc(project, "repro", "-q")
    assert (project / "results" / "sum.txt").read_text() == "counts\n" * 3
    copy = json.loads((project / "results" / "look.ipynb").read_text())
    texts = ["".join(output["text"]) for cell in copy["cells"] for output in cell["outputs"] if "text" in output]
    assert texts[0] == "0\n1\n2\n" and texts[1] == "e 0\ne 1\ne 2\n"
    assert " <project>/notebooks <environment>\n" in texts[2]
    for machine in (str(project), sys.prefix, os.uname().nodename if hasattr(os, "uname") else "\0", "ipykernel_"):
        assert machine not in json.dumps(copy)
    emdvc("save", "-m", "a notebook", "--no-push", cwd=project)

    # open, run, save in Jupyter: git sees no change, and saving takes the outputs out, with a copy for the person
    _executed_in_jupyter(path)
    assert "seen" not in _git(project, "diff")
    _git(project, "add", "-A")
    assert _git(project, "status", "--porcelain") == ""
    assert "notebooks/look.ipynb" in _dvc(project, "status")
    shown = json.loads(emdvc("status", "--json", cwd=project).stdout)
    assert shown["notebooks"] == [{"path": "notebooks/look.ipynb", "filtered": True}]
    answer = emdvc("save", "-m", "nothing", "--no-push", cwd=project).stdout
    assert "nothing to commit" in answer and "notebooks/seen/notebooks/look.ipynb" in answer.replace("\\", "/")
    assert "up to date" in _dvc(project, "status")
    assert "seen" in (project / ".dvc/tmp/emdvc/notebooks/seen/notebooks/look.ipynb").read_text()

    # another folder, another clone, nothing of the cache: the same bytes, and nothing to run after it
    theirs = tmp_path / "their clone"
    subprocess.run(["git", "clone", "-q", project, theirs], check=True)
    (theirs / "raw" / "scan.txt").write_text("counts\n", encoding="utf-8")
    emdvc("git", "install", cwd=theirs)
    _dvc(theirs, "repro", "-q")
    assert _lock(theirs, "look") == _lock(project, "look")
    assert _git(theirs, "status", "--porcelain") == ""
    # without the filter git would commit the outputs: status says so
    emdvc("git", "uninstall", cwd=theirs)
    _executed_in_jupyter(theirs / "notebooks" / "look.ipynb")
    assert "git would commit them (emdvc git install)" in emdvc("status", "--no-remote", cwd=theirs).stdout


def test_what_a_notebook_does_not_take_is_refused_and_a_cell_that_fails_leaves_no_result(
    project: Path, emdvc: Emdvc
) -> None:
    words = ("stage", "add", "notebook", "notebooks/look.ipynb", "-o", "results/half.txt")
    _notebook(project / "notebooks" / "look.ipynb", [("", "print(1)")])
    said = emdvc(*words, "--set", "width=3", cwd=project, status=2).stderr
    assert "has no cell of parameters" in said and "the tag `parameters`" in said
    failing = [_CELLS[0], ("", "open('../results/half.txt', 'w').write('half')\nprint('before')"), ("", "1 / 0")]
    _notebook(project / "notebooks" / "look.ipynb", failing)
    said = emdvc(*words, "--set", "widht=3", cwd=project, status=2).stderr
    assert "no parameter 'widht'" in said and "did you mean width?" in said
    assert not (project / "dvc.yaml").exists()
    emdvc(*words, cwd=project)
    said = _dvc(project, "repro", status=255)
    assert (
        "error[EM-PROGRAM-FAILED]: cell [4] of notebooks/look.ipynb failed\n  ZeroDivisionError: division by zero"
        in said
    )
    assert "before" in said and "Traceback" not in said
    assert not (project / "results" / "half.txt").exists() and not (project / "results" / "look.ipynb").exists()
    kept = project / ".dvc/tmp/emdvc/notebooks/failed/results/look.ipynb"
    assert str(kept.relative_to(project)).replace("\\", "/") in said and "before" in kept.read_text()


# --- external programs ----------------------------------------------------------------------------------------------

_SCRIPT = """
import json, os, sys
import numbers_of_mine
said = json.load(open(os.environ["EMDVC_PARAMS"]))
print("adding", said["add"], file=sys.stderr)
with open(sys.argv[2], "wb") as file:
    shape = "(2, 3)"
    header = "{'descr': '<u2', 'fortran_order': False, 'shape': " + shape + ", }"
    header = header.ljust(117) + "\\n"
    file.write(b"\\x93NUMPY\\x01\\x00" + len(header).to_bytes(2, "little") + header.encode())
    for i in range(6):
        file.write((i * numbers_of_mine.FACTOR + said["add"]).to_bytes(2, "little"))
open(sys.argv[3], "w").write("done\\n")
if said["add"] == 99:
    print("the detector is on fire", file=sys.stderr)
    sys.exit(7)
"""


def _wheel(folder: Path, version: str, factor: int) -> None:
    """Write a package that pip installs without an index."""
    folder.mkdir(exist_ok=True)
    info = f"numbers_of_mine-{version}.dist-info"
    files = {
        "numbers_of_mine.py": f"FACTOR = {factor}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: numbers-of-mine\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / f"numbers_of_mine-{version}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a script, and a file of requirements that needs no index; it is no project."""
    monkeypatch.setenv("EMDVC_ENVIRONMENTS", str(tmp_path / "environments"))
    _wheel(tmp_path / "wheels", "1.0", 10)
    project = tmp_path / "project"
    for name in ("envs", "scripts"):
        (project / name).mkdir(parents=True, exist_ok=True)
    wheels = (tmp_path / "wheels").as_posix()
    text = f"--no-index\n--find-links {wheels}\nnumbers-of-mine\n"
    (project / "envs" / "mine.txt").write_text(text, encoding="utf-8")
    (project / "scripts" / "peaks.py").write_text(_SCRIPT, encoding="utf-8")
    return project


_ADD = ("stage", "add", "command", "--env", "envs/mine.txt", "-d", "raw/scan.txt", "-o", "results/peaks.npy")
_PROGRAM = ("--", "python", "scripts/peaks.py", "raw/scan.txt", "results/peaks.npy", "results/done.txt")


@pytest.mark.slow
def test_a_program_in_its_own_environment(project: Path, folder: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    _with_scan(project)
    emdvc(*_ADD, "-o", "results/done.txt", "--set", "add=1", *_PROGRAM, cwd=project)
    stage = YAML(typ="safe").load(project / "dvc.yaml")["stages"]["peaks"]
    assert stage == {
        "cmd": "emdvc run-command --env envs/mine.txt --record results/peaks.environment.txt " + " ".join(_PROGRAM),
        "deps": ["raw/scan.txt", "scripts/peaks.py", "envs/mine.txt"],
        "params": ["peaks"],
        "outs": ["results/peaks.npy", "results/done.txt", {"results/peaks.environment.txt": {"cache": False}}],
        "metrics": [{"results/peaks.npy.em.yaml": {"cache": False}}],
    }
    _dvc(project, "repro", "-q")
    record = (project / "results" / "peaks.environment.txt").read_text()
    assert record == "# envs/mine.txt\nnumbers-of-mine==1.0\n"
    origin = YAML(typ="safe").load(project / "results" / "peaks.npy.em.yaml")
    assert origin["data"]["variables"][origin["data"]["main"]]["shape"] == [2, 3]
    assert origin["provenance"]["step"] == "command" and origin["provenance"]["command"] == " ".join(_PROGRAM[1:])
    digest = hashlib.sha256(record.encode()).hexdigest()
    assert origin["provenance"]["environment"] == "envs/mine.txt"
    assert origin["provenance"]["environment_digest"] == f"sha256:{digest}"
    assert origin["provenance"]["parameters"] == {"add": 1}
    assert set(origin["provenance"]["inputs"]) == {"raw/scan.txt", "scripts/peaks.py", "envs/mine.txt"}
    assert "up to date" in _dvc(project, "status")
    emdvc("save", "-m", "peaks", "--no-push", cwd=project)
    first = _lock(project, "peaks")

    # another resolution of the same file: seen as a difference, in git
    _wheel(tmp_path / "wheels", "1.1", 10)
    shutil.rmtree(tmp_path / "environments")
    _dvc(project, "repro", "-q", "--force")
    assert "-numbers-of-mine==1.0\n+numbers-of-mine==1.1\n" in _git(project, "diff", "results/peaks.environment.txt")
    second = _lock(project, "peaks")
    assert {path for path in first if first[path] != second[path]} == {
        "results/peaks.environment.txt",
        "results/peaks.npy.em.yaml",
    }

    # a program that fails leaves what was there
    before = {path.name: path.read_bytes() for path in (project / "results").iterdir()}
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("add: 1", "add: 99"), encoding="utf-8")
    command = YAML(typ="safe").load(project / "dvc.yaml")["stages"]["peaks"]["cmd"].split()[1:]
    said = emdvc(*command, cwd=project, status=2).stderr  # by hand: what was there comes back
    assert "error[EM-PROGRAM-FAILED]: python failed: exit status 7" in said and "the detector is on fire" in said
    assert {path.name: path.read_bytes() for path in (project / "results").iterdir()} == before
    assert (project / ".dvc/tmp/emdvc/programs/peaks/failed/done.txt").read_text() == "done\n"


def test_an_environment_is_made_once_by_several_at_a_time(folder: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "emdvc", "run-command", "--env", "envs/mine.txt", "--", "python", "-c"]
    line.append("import numbers_of_mine, sys; print(numbers_of_mine.__file__)")
    both = [
        subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making the environment" in text for text in said) == 1
    assert len({text.strip().splitlines()[-1] for text in said}) == 1
    assert len([path for path in (tmp_path / "environments").iterdir() if path.is_dir()]) == 1


def test_a_program_ends_with_the_dvc_that_started_it(folder: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); os.replace('pid', 'running'); time.sleep(100)"
    line = [sys.executable, "-m", "emdvc", "run-command", "--env", sys.executable, "--", "python", "-c", code]
    starts = f"import os, subprocess; subprocess.run({line!r}, env={{**os.environ, 'DVC_STAGE': 'dvc.yaml:s'}})"
    parent = subprocess.Popen([sys.executable, "-c", starts], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        _wait((folder / "running").exists)
    finally:
        parent.kill()
        parent.wait()
    program = int((folder / "running").read_text())
    _wait(lambda: not psutil.pid_exists(program) or psutil.Process(program).status() == psutil.STATUS_ZOMBIE)


def _wait(until: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not until():
        assert time.monotonic() < last, "it took too long"
        time.sleep(0.1)


def test_what_pip_cannot_install_is_one_error(folder: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (folder / "envs" / "mine.txt").write_text("--no-index\nno-such-package==1.0\n", encoding="utf-8")
    said = emdvc("run-command", "--env", "envs/mine.txt", "--", "python", "-V", cwd=folder, status=2).stderr
    assert "error[EM-PROGRAM-ENVIRONMENT]: the environment of envs/mine.txt could not be made" in said
    assert "No matching distribution found for no-such-package==1.0" in said and "Traceback" not in said
    assert not [path for path in (tmp_path / "environments").iterdir() if path.is_dir()]


def test_dvc_fills_in_values_and_words_keep_their_spaces(project: Path, emdvc: Emdvc) -> None:
    code = "import sys; open(sys.argv[2], 'w').write(sys.argv[1])"
    words = ("--set", "sigma=2.5", "-n", "blur", "-o", "results/blur.txt", "--", "python", "-c", code)
    emdvc(
        "stage", "add", "command", "--env", sys.executable, *words, "a b ${blur.sigma}", "results/blur.txt", cwd=project
    )
    _dvc(project, "repro", "-q")
    assert (project / "results" / "blur.txt").read_text() == "a b 2.5"
    listed = (project / "results" / "blur.environment.txt").read_text().splitlines()
    assert any(line.startswith("numpy==") for line in listed)


def test_help_of_the_two_kinds_is_their_own(emdvc: Emdvc) -> None:
    found: dict[str, Any] = {kind: emdvc("stage", "add", kind, "--help").stdout for kind in ("notebook", "command")}
    assert "--executed" in found["notebook"] and "--version-command" in found["command"]
    assert "--in-place" in emdvc("stage", "add", "--help").stdout
