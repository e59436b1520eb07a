"""What an external program runs with: the kinds of environments that a stage can name, made ready and written down."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from emdvc.errors import Code, EnvironmentFault, UsageError
from emdvc.history.programs import elsewhere, requirements, virtual

if TYPE_CHECKING:
    from packaging.requirements import Requirement


class Kind(StrEnum):
    """A kind of environment."""

    REQUIREMENTS = "requirements"
    INTERPRETER = "interpreter"
    CONDA = "conda"
    CONDA_FILE = "conda file"
    DOCKER = "docker"
    APPTAINER = "apptainer"
    PROGRAM = "program"


_MARKS = {f"{kind}:": kind for kind in (Kind.CONDA, Kind.DOCKER, Kind.APPTAINER, Kind.PROGRAM)}


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment as it is named on a command line.

    Parameters
    ----------
    kind
        What it is.
    name
        A file, a folder, an image or the name of a program.
    """

    kind: Kind
    name: str

    @property
    def file(self) -> PurePosixPath | None:
        """The file that describes it, which a stage depends on; None where none does."""
        in_file = self.kind in (Kind.REQUIREMENTS, Kind.CONDA_FILE) or self.name.endswith(".sif")
        return PurePosixPath(self.name) if in_file else None


@dataclass(frozen=True, slots=True)
class Ready:
    """An environment in which a program can be started.

    Parameters
    ----------
    before
        Words that stand before the program's own.
    variables
        Set for the program; None takes one away.
    record
        What the program runs with, line by line; the same text wherever it is the same.
    python
        The interpreter; None where there is none, or it is not on this file system.
    versions
        What is noted of the run, but would differ elsewhere.
    """

    before: tuple[str, ...] = ()
    variables: Mapping[str, str | None] = field(default_factory=dict)
    record: tuple[str, ...] = ()
    python: Path | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Environment:
    """Return the environment that a text names.

    Raises
    ------
    UsageError
        It names none.
    """
    for mark, kind in _MARKS.items():
        if text.startswith(mark):
            name = text.removeprefix(mark)
            if not name:
                raise UsageError(f"'{text}' names no environment", hint=f"write {mark}NAME")
            if kind is Kind.DOCKER or (kind is Kind.APPTAINER and not name.endswith(".sif")):
                elsewhere.check_image(kind, name)
            return Environment(kind, name)
    suffix = PurePosixPath(text).suffix.lower()
    if suffix in (".yml", ".yaml"):
        return Environment(Kind.CONDA_FILE, text)
    if suffix == ".txt":
        return Environment(Kind.REQUIREMENTS, text)
    if Path(text).exists():
        return Environment(Kind.INTERPRETER, text)
    raise UsageError(
        f"'{text}' is no environment",
        code=Code.PROGRAM_ENVIRONMENT,
        evidence="it is neither a file of requirements (.txt), nor one of conda's (.yml), nor a folder or interpreter",
        hint="others: conda:NAME, docker:IMAGE@sha256:..., apptainer:FILE.sif, program:NAME",
    )


def ready(
    environment: Environment,
    folder: Path,
    variables: Mapping[str, str],
    tell: Callable[[str], None],
    version: str | None = None,
) -> Ready:
    """Make an environment ready and find out what is in it.

    Parameters
    ----------
    environment
        Which.
    folder
        The project's, which a container sees at ``/project``.
    variables
        What the program is told; a container must be told too.
    tell
        Told what is done, where it takes time.
    version
        The command that tells the version of a program; by default the program with ``--version``.

    Raises
    ------
    EnvironmentFault
        It cannot be made, or what would run it is not installed.
    """
    name = environment.name
    match environment.kind:
        case Kind.REQUIREMENTS:
            place = virtual.made(Path(name), tell)
            python = virtual.python_of(place)
            return _python(python, place, requirements.read(Path(name)))
        case Kind.INTERPRETER:
            python = _interpreter(Path(name))
            return _python(python, python.parent.parent, None)
        case Kind.CONDA | Kind.CONDA_FILE:
            return _conda(environment, tell)
        case Kind.DOCKER | Kind.APPTAINER:
            return _container(environment, folder, variables)
        case Kind.PROGRAM:
            words = shlex.split(version) if version else [name, "--version"]
            elsewhere.found([name], "the stage")
            return Ready(record=(f"{name}: {elsewhere.version_of(words)}",))


def _interpreter(path: Path) -> Path:
    path = path.absolute()
    python = path if path.is_file() else virtual.python_of(path)
    if not python.is_file():
        raise EnvironmentFault(
            f"{path} holds no Python", code=Code.PROGRAM_ENVIRONMENT, evidence=f"{python} does not exist"
        )
    return python


def _python(python: Path, place: Path, roots: list[Requirement] | None) -> Ready:
    packages = requirements.installed(virtual.packages_of(python))
    listed = requirements.versions(packages, roots)
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])
    # what a person has in other places must not be found there
    variables = {
        "PATH": path,
        "VIRTUAL_ENV": str(place),
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": None,
        "PYTHONHOME": None,
    }
    version = elsewhere.version_of([str(python), "--version"]).removeprefix("Python ")
    record = tuple(f"{name}=={version}" for name, version in listed.items())
    return Ready((), variables, record, python, {"python": version})


def _conda(environment: Environment, tell: Callable[[str], None]) -> Ready:
    program = elsewhere.found(elsewhere.CONDA, f"the environment {environment.name}")
    where = ["-n", environment.name]
    if environment.kind is Kind.CONDA_FILE:
        place = elsewhere.conda_made(program, Path(environment.name), virtual.folder(), tell)
        where = ["-p", str(place)]
    listed = elsewhere.conda_packages(program, where)
    record = tuple(f"{name}={version}" for name, version in sorted(listed.items()))
    return Ready(tuple(elsewhere.conda_run(program, where)), {}, record)


def _container(environment: Environment, folder: Path, variables: Mapping[str, str]) -> Ready:
    image, inside = environment.name, Path(os.path.relpath(Path.cwd(), folder)).as_posix()
    if environment.kind is Kind.DOCKER:
        program = elsewhere.found(["docker", "podman"], f"the image {image}")
        words = elsewhere.docker_run(program, image, folder, inside, variables)
    else:
        program = elsewhere.found(["apptainer", "singularity"], f"the image {image}")
        source = image if image.endswith(".sif") else f"docker://{image}"
        words = elsewhere.apptainer_exec(program, source, folder, inside, variables)
    return Ready(tuple(words), {}, (f"image: {image}",))


def program_in(made: Ready, words: list[str]) -> list[str]:
    """Return the command line that starts a program in an environment.

    Raises
    ------
    EnvironmentFault
        The program is not there.
    """
    if made.before:
        return [*made.before, *words]
    path = made.variables.get("PATH")
    found = shutil.which(words[0], path=path)
    if found is None:
        raise EnvironmentFault(
            f"there is no program {words[0]}",
            code=Code.PROGRAM_MISSING,
            evidence=f"looked for in {Path(made.python).parent} and on PATH" if made.python else "looked for on PATH",
            hint="install it, or name it by its path",
        )
    return [found, *words[1:]]
