"""Environments that another program makes or holds: conda's, containers, and a program that is just installed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault, UsageError

#: Programs that run conda's environments, the first that is there is taken.
CONDA = ("micromamba", "mamba", "conda")


def found(names: Sequence[str], what: str) -> str:
    """Return the first of several programs that is on PATH.

    Raises
    ------
    EnvironmentFault
        None of them is.
    """
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise EnvironmentFault(
        f"{what} needs {' or '.join(names)}, which is not installed",
        code=Code.PROGRAM_MISSING,
        evidence="looked for on PATH",
        hint="install it, or put it on PATH",
    )


def conda_run(program: str, where: Sequence[str]) -> list[str]:
    """Return the words that run a program in one of conda's environments.

    Parameters
    ----------
    program
        conda, mamba or micromamba.
    where
        ``-n NAME`` or ``-p FOLDER``.
    """
    # conda itself holds back what a program prints until it ends
    live = ["--no-capture-output"] if Path(program).stem == "conda" else []
    return [program, "run", *live, *where]


def conda_create(program: str, folder: Path, file: Path) -> list[str]:
    """Return the words that make one of conda's environments in a folder, as a file describes it."""
    if Path(program).stem == "micromamba":
        return [program, "create", "--yes", "--quiet", "-p", str(folder), "-f", str(file)]
    return [program, "env", "create", "--yes", "--quiet", "-p", str(folder), "-f", str(file)]


def conda_made(program: str, file: Path, folder: Path, tell: Callable[[str], None]) -> Path:
    """Return the folder of the environment that a file of conda's describes, made where it is not there."""
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:24]
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {file}", code=Code.NOT_FOUND) from error
    place = folder / f"conda-{digest}"
    whole = place / "emdvc-whole"
    if not whole.is_file():
        shutil.rmtree(place, ignore_errors=True)
        tell(f"making the environment of {file} in {place}: once")
        said(conda_create(program, place, file), f"the environment of {file} could not be made")
        whole.write_text("", encoding="utf-8")
    return place


def conda_packages(program: str, where: Sequence[str]) -> dict[str, str]:
    """Return name -> version of the packages in one of conda's environments."""
    answer = said([program, "list", *where, "--json"], f"conda's environment {where[-1]} cannot be read")
    return {str(one["name"]): str(one["version"]) for one in json.loads(answer)}


def docker_run(program: str, image: str, folder: Path, inside: str, variables: Mapping[str, str]) -> list[str]:
    """Return the words that run a program in a container: the project at ``/project``, files owned by this user.

    Parameters
    ----------
    program
        docker, or podman.
    image
        With its digest.
    folder
        The project, which becomes ``/project``.
    inside
        The current folder, from there.
    variables
        Environment variables that the program sees.
    """
    user = ["--user", f"{os.getuid()}:{os.getgid()}"] if hasattr(os, "getuid") else []
    options = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    place = f"/project/{inside}".removesuffix("/.")
    return [program, "run", "--rm", *user, "--volume", f"{folder}:/project", "--workdir", place, *options, image]


def apptainer_exec(program: str, image: str, folder: Path, inside: str, variables: Mapping[str, str]) -> list[str]:
    """Return the words that run a program in a container of apptainer; parameters as of :func:`docker_run`."""
    options = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    place = f"/project/{inside}".removesuffix("/.")
    return [program, "exec", "--cleanenv", "--bind", f"{folder}:/project", "--pwd", place, *options, image]


def check_image(kind: str, image: str) -> None:
    """Check that an image is named by its digest: a tag is another image tomorrow.

    Raises
    ------
    UsageError
        It is not.
    """
    if re.search(r"@sha256:[0-9a-f]{64}$", image):
        return
    raise UsageError(
        f"the image {image} is not named by its digest",
        code=Code.PROGRAM_ENVIRONMENT,
        evidence="a tag may be another image tomorrow",
        hint=f"docker images --digests shows it; write {kind}:NAME@sha256:...",
    )


def version_of(words: Sequence[str]) -> str:
    """Return the first line that a program says of its version.

    Raises
    ------
    EnvironmentFault
        It is not installed, or says nothing.
    """
    answer = said(words, f"{words[0]} does not tell its version", hint="give --version-command, as 'matlab -batch ver'")
    line = next((line.strip() for line in answer.splitlines() if line.strip()), "")
    if not line:
        raise EnvironmentFault(
            f"{words[0]} does not tell its version",
            code=Code.PROGRAM_ENVIRONMENT,
            evidence=f"`{' '.join(words)}` printed nothing",
            hint="give --version-command",
        )
    return line


def said(words: Sequence[str], cause: str, hint: str | None = None) -> str:
    """Return what a program prints, on either stream.

    Raises
    ------
    EnvironmentFault
        It failed.
    """
    program = found([words[0]], f"`{words[0]}`")
    done = subprocess.run(
        [program, *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise EnvironmentFault(
            cause,
            code=Code.PROGRAM_ENVIRONMENT,
            evidence=(lines or [f"exit status {done.returncode}"])[-1],
            hint=hint,
        )
    return done.stdout or done.stderr
