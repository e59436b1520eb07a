from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import Code, EnvironmentFault, UsageError
from emdvc.history.programs import elsewhere
from emdvc.history.programs.environments import Environment, Kind, parse, program_in, ready

_IMAGE = f"ghcr.io/py4dstem/py4dstem@sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "kind", "name", "file"),
    [
        ("envs/hyperspy.txt", Kind.REQUIREMENTS, "envs/hyperspy.txt", "envs/hyperspy.txt"),
        ("envs/py4dstem.yml", Kind.CONDA_FILE, "envs/py4dstem.yml", "envs/py4dstem.yml"),
        ("conda:py4dstem", Kind.CONDA, "py4dstem", None),
        (f"docker:{_IMAGE}", Kind.DOCKER, _IMAGE, None),
        (f"apptainer:{_IMAGE}", Kind.APPTAINER, _IMAGE, None),
        ("apptainer:envs/tool.sif", Kind.APPTAINER, "envs/tool.sif", "envs/tool.sif"),
        ("program:matlab", Kind.PROGRAM, "matlab", None),
    ],
)
def test_the_kind_is_seen_from_the_text(text: str, kind: Kind, name: str, file: str | None) -> None:
    found = parse(text)
    assert (found.kind, found.name) == (kind, name)
    assert found.file == (PurePosixPath(file) if file else None)


@pytest.mark.parametrize("text", ["docker:python:3.12", "apptainer:python", "conda:", "nothing-here"])
def test_what_may_be_another_tomorrow_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_containers_see_the_project_and_the_parameters() -> None:
    variables = {"EMDVC_PARAMS": "/project/.dvc/tmp/p.json"}
    words = elsewhere.docker_run("docker", _IMAGE, Path("/data/scans"), "pipelines/eels", variables)
    assert words[:3] == ["docker", "run", "--rm"]
    assert " ".join(words).endswith(
        f"--volume {Path('/data/scans')}:/project --workdir /project/pipelines/eels "
        f"--env EMDVC_PARAMS=/project/.dvc/tmp/p.json {_IMAGE}"
    )
    assert elsewhere.apptainer_exec("apptainer", "tool.sif", Path("/data"), ".", variables) == [
        *("apptainer", "exec", "--cleanenv", "--bind", f"{Path('/data')}:/project", "--pwd", "/project"),
        *("--env", "EMDVC_PARAMS=/project/.dvc/tmp/p.json", "tool.sif"),
    ]


def test_condas_programs_are_called_each_in_its_way() -> None:
    assert elsewhere.conda_run("/opt/conda", ["-n", "x"]) == ["/opt/conda", "run", "--no-capture-output", "-n", "x"]
    assert elsewhere.conda_run("micromamba", ["-p", "f"]) == ["micromamba", "run", "-p", "f"]
    made = elsewhere.conda_create("micromamba", Path("f"), Path("e.yml"))
    assert made == ["micromamba", "create", "--yes", "--quiet", "-p", "f", "-f", "e.yml"]
    assert elsewhere.conda_create("conda", Path("f"), Path("e.yml"))[:3] == ["conda", "env", "create"]


@pytest.mark.parametrize("text", ["conda:py4dstem", f"docker:{_IMAGE}", "apptainer:tool.sif", "program:matlab"])
def test_a_missing_program_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="not installed") as caught:
        ready(parse(text), tmp_path, {}, lambda _: None)
    assert caught.value.code is Code.PROGRAM_MISSING


def test_a_program_is_known_by_its_version(tmp_path: Path) -> None:
    made = ready(Environment(Kind.PROGRAM, "git"), tmp_path, {}, lambda _: None)
    assert made.record[0].startswith("git: git version ")
    own = ready(Environment(Kind.PROGRAM, "git"), tmp_path, {}, lambda _: None, version="git --exec-path")
    assert own.record != made.record
    assert Path(program_in(made, ["git", "status"])[0]).stem == "git"
    with pytest.raises(EnvironmentFault, match="there is no program no-such"):
        program_in(made, ["no-such"])
    with pytest.raises(EnvironmentFault, match="does not tell its version"):
        ready(Environment(Kind.PROGRAM, "git"), tmp_path, {}, lambda _: None, version="git no-such-command")
