"""The virtual environment of a file of requirements: made once for each content, kept for all projects of this user."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from emdvc.engine.file_lock import acquire, release
from emdvc.engine.lifeline import ends_with_us
from emdvc.errors import Code, EnvironmentFault
from emdvc.history.programs import requirements

#: Names another folder for environments than the user's cache.
FOLDER = "EMDVC_ENVIRONMENTS"
#: Written last: an environment without it was not finished.
_WHOLE = "emdvc-whole"
_POLL = 0.2


def made(path: Path, tell: Callable[[str], None]) -> Path:
    """Return the folder of the environment that a file of requirements describes; it is made where it is not there.

    Parameters
    ----------
    path
        The file.
    tell
        Told what is done, where it takes time.

    Raises
    ------
    UsageError
        The file is not there, or leads to other files.
    EnvironmentFault
        A package could not be installed.
    """
    requirements.read(path)
    place = folder() / _key(path)
    if _is_whole(place):
        return place
    with _alone(place, tell) as lock:
        if not _is_whole(place):  # nobody else has made it meanwhile
            tell(f"making the environment of {path} in {place}: once")
            _make(place, path, lock)
    return place


def python_of(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def programs_of(folder: Path) -> Path:
    """Return where a virtual environment keeps its programs."""
    return python_of(folder).parent


def packages_of(python: Path) -> list[str]:
    """Return the folders of packages of an interpreter.

    Raises
    ------
    EnvironmentFault
        It does not run.
    """
    code = "import sysconfig; print(sysconfig.get_path('purelib')); print(sysconfig.get_path('platlib'))"
    try:
        done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentFault(
            f"{python} does not run", code=Code.PROGRAM_ENVIRONMENT, evidence=str(error), hint="give another --env"
        ) from error
    return list(dict.fromkeys(done.stdout.split("\n")[:2]))


def folder() -> Path:
    """Return where environments are kept."""
    said = os.environ.get(FOLDER)
    if said:
        return Path(said).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("emdvc", appauthor=False)) / "environments"


def _key(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    machine = (sys.implementation.cache_tag, sys.base_prefix, sys.platform, platform.machine())
    return hashlib.sha256("\0".join([text, *map(str, machine)]).encode()).hexdigest()[:24]


def _is_whole(folder: Path) -> bool:
    return (folder / _WHOLE).is_file() and python_of(folder).exists()  # the interpreter may have been removed since


@contextmanager
def _alone(folder: Path, tell: Callable[[str], None]) -> Iterator[IO[str]]:
    """Hold the lock of an environment; wait for another process that makes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+", encoding="utf-8") as lock:
        told = False
        while not acquire(lock):
            if not told:
                tell("another process is making this environment: waiting for it")
            told = True
            time.sleep(_POLL)
        try:
            yield lock
        finally:
            release(lock)


def _make(folder: Path, path: Path, lock: IO[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    own_pip = find_spec("pip") is not None
    try:
        venv.EnvBuilder(symlinks=os.name != "nt", with_pip=not own_pip).create(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder)] if own_pip else [python_of(folder), "-m", "pip"]
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", str(path)]
        # the lock stays held while pip works, also when this process is killed meanwhile
        held = () if os.name == "nt" else (lock.fileno(),)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with (
            subprocess.Popen(
                [str(word) for word in (*pip, *install)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=environment,
                pass_fds=held,
            ) as process,
            ends_with_us(process),
        ):
            said = process.communicate()[1]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if process.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise _refused(path, said)
    (folder / _WHOLE).write_text("", encoding="utf-8")


def _refused(path: Path, said: str) -> EnvironmentFault:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    offline = any("connection" in line.lower() and "retrying" in line.lower() for line in lines)
    return EnvironmentFault(
        f"the environment of {path} could not be made",
        code=Code.PROGRAM_ENVIRONMENT,
        evidence=(errors or lines or ["pip said nothing"])[-1],
        hint="no package index can be reached: go online once, the environment is kept"
        if offline
        else f"pip install -r {path} says more",
    )
