"""A temporary clone of a project at a revision, in which stages are run and nothing of the project is touched."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emdvc.history import git
from emdvc.history.dvc_stages import SITE
from emdvc.history.project import Project

#: Called with each line that the recomputation prints.
Listen = Callable[[str], None]
#: Lines of a stage's output that are remembered, from its beginning and as many from its end.
_REMEMBERED = 1000
_STARTS = re.compile(r"^Running stage '(?P<name>.+)':$")


@contextmanager
def temporary_folder(project: Project, folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """Make a folder and remove it at the end, also after Ctrl-C and when the system asks the process to end.

    Parameters
    ----------
    folder
        Where to make it; None: beside the project's own temporary files, on the same disk.
    keep
        Leave it.
    """
    above = Path(os.path.abspath(folder or project.dvc_dir / "tmp"))  # noqa: PTH100
    if folder is None:
        above.mkdir(exist_ok=True)
    with _ended_politely():
        made = Path(tempfile.mkdtemp(prefix="verify-", dir=above))
        try:
            yield made
        finally:
            if not keep:
                shutil.rmtree(made, onerror=_made_writable)


def clone(project: Project, commit: str, folder: Path) -> Project:
    """Clone a project at a commit into a folder below another, with a cache of its own there.

    The clone takes git's objects from the project's repository. No branch, no setting, and no hook of a person is
    taken along, and none is asked for.

    Raises
    ------
    EnvironmentFault
        Git refused.
    """
    root = folder / "clone"
    objects = git.git(["rev-parse", "--git-path", "objects"], project.git_root)
    kind = git.git(["rev-parse", "--show-object-format"], project.git_root)
    git.run(["init", "--quiet", "--template=", f"--object-format={kind}", str(root)], folder)
    info = root / ".git" / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text(f"{(project.git_root / objects).resolve().as_posix()}\n", encoding="utf-8")
    shallow = project.git_root / git.git(["rev-parse", "--git-path", "shallow"], project.git_root)
    if shallow.is_file():
        shutil.copyfile(shallow, root / ".git" / "shallow")
    git.run(["-c", "core.hooksPath=", "checkout", "--quiet", "--detach", commit], root)
    found = Project(root / project.prefix, root)
    settings = found.dvc_dir / "config.local"
    settings.write_text(
        f"[core]\n    analytics = false\n[cache]\n    dir = {_quoted(folder / 'cache')}\n", encoding="utf-8"
    )
    return found


def repro(project: Project, site: Path, arguments: Sequence[str], listen: Listen) -> dict[str, list[str]]:
    """Run ``dvc repro`` in a process of its own, and return what each stage printed.

    Parameters
    ----------
    project
        The clone.
    site
        Folder for what DVC keeps of a project outside of it.
    arguments
        After ``dvc repro``.
    listen
        Called with each line.
    """
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    printed: dict[str, list[str]] = {}
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=_environment() | {SITE: str(site)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        **_alone(),
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in map(str.rstrip, process.stdout):
            started = _STARTS.match(line)
            if started is not None:
                lines = printed.setdefault(started["name"].replace("\\", "/"), [])
            elif line:
                lines.append(line)
                if len(lines) > 2 * _REMEMBERED:  # of a talkative stage the beginning and the end
                    del lines[_REMEMBERED]
            listen(line)
        process.wait()
    finally:
        _end(process)
    return printed


def _environment() -> dict[str, str]:
    """Return the environment of the child: the same interpreter's programs first, nothing of a calling git or DVC."""
    programs = dict.fromkeys([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DVC_") or name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
    }
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"):
        kept.pop(name, None)
    path = os.pathsep.join([*programs, kept.get("PATH", "")])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "DVC_NO_ANALYTICS": "1"}


def _alone() -> dict[str, Any]:
    # Ctrl-C is for this process, which then ends all that it started
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started, if they still run."""
    if process.poll() is None:
        import psutil

        with suppress(psutil.Error):
            family = psutil.Process(process.pid).children(recursive=True)
            for one in [psutil.Process(process.pid), *family]:
                with suppress(psutil.Error):
                    one.kill()
            psutil.wait_procs(family, timeout=10)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Let a request to end (SIGTERM) unwind the stack, so that what is temporary is removed."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _made_writable(function: Callable[..., Any], path: str, _: object) -> None:
    """Remove what is read-only, as raw data and DVC's objects are: Windows refuses, and folders anywhere."""
    with suppress(OSError):
        for one in (Path(path).parent, Path(path)):
            one.chmod(one.stat().st_mode | stat.S_IWUSR | stat.S_IXUSR | stat.S_IRUSR)
        function(path)


def _quoted(path: Path) -> str:
    text = path.as_posix()
    return f'"{text}"' if set(text) & set(",#' ") else text
