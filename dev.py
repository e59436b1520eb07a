"""One script for a fresh clone: makes an environment of its own in ``.venv`` and works in it.

::

    python3.11 dev.py demo [FOLDER]       the whole path on a simulated scan, with commentary
    python3.11 dev.py test [-- ARGS]      all tests; ARGS go to pytest
    python3.11 dev.py check               what CI runs besides: lint, types, imports, docs, examples

Needs Python 3.11 or later, git, and a package index that pip can reach. Nothing is installed outside this folder.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "emdvc-installed.txt"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

DEMO = ("formats",)
TEST = ("distributed", "formats", "notebook", "ssh", "test", "webdav")
CHECK = (*TEST, "docs")


def main() -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="the whole path on a simulated scan")
    demo.add_argument("folder", nargs="?", type=Path, help="new or empty folder (default: emdvc-demo, here)")
    test = commands.add_parser("test", help="all tests")
    test.add_argument("arguments", nargs="*", help="after --: arguments for pytest")
    commands.add_parser("check", help="lint, types, imports, docs, examples")
    asked = parser.parse_args()
    require_machine()
    if asked.command == "demo":
        install(DEMO)
        return run(PYTHON, "-m", "emdvc", "demo", asked.folder or free_folder("emdvc-demo"))
    if asked.command == "test":
        install(TEST)
        # one worker per processor: most tests wait for processes of their own
        return run(PYTHON, "-m", "pytest", "-n", "logical", "--dist", "worksteal", *asked.arguments, cwd=ROOT)
    install(CHECK)
    return check()


def check() -> int:
    """Run every check, also after one has failed, and name those that failed.

    They know nothing of each other and most keep one processor busy, so several run at a time; what each said is
    printed as a whole. The one that counts seconds runs before all others, alone.
    """
    built = ROOT / "docs" / "_build"
    checks = {
        "compilation": (PYTHON, "benchmarks/compilation.py", "--require"),
        "examples": (PYTHON, "tools/reproduce_examples.py"),
        "docs": (PYTHON, "-m", "sphinx", "-W", "-n", "-q", "--keep-going", "-b", "html", "docs", built / "html"),
        "mypy": (PYTHON, "-m", "mypy", "--strict"),
        "ruff": (PYTHON, "-m", "ruff", "check"),
        "ruff format": (PYTHON, "-m", "ruff", "format", "--check"),
        "imports": (BIN / "lint-imports",),
    }
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as several:
        running = {}
        for name, command in checks.items():
            running[name] = several.submit(said_by, *command, cwd=ROOT)
            if name == "compilation":
                running[name].result()
        for name, answer in running.items():
            status, said = answer.result()
            print(f"\n== {name}\n{said}", end="", flush=True)
            if status != 0:
                failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return 1 if failed else 0


def install(extras: tuple[str, ...]) -> None:
    """Make ``.venv`` with emdvc and these extras in it; at once when that was done before."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    done = STAMP.read_text(encoding="utf-8").split() if STAMP.is_file() else [""]
    if done[0] == wanted and set(extras) <= set(done[1:]):
        return
    if not PYTHON.is_file():
        print(f"making an environment in {VENV}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    extras = tuple(sorted({*extras, *done[1:]}))
    print(f"installing emdvc with {', '.join(extras)} into it: a few minutes, once", flush=True)
    subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", "-e", f".[{','.join(extras)}]"], check=True, cwd=ROOT)
    STAMP.write_text(" ".join([wanted, *extras]), encoding="utf-8")


def require_machine() -> None:
    """Stop with the remedy when Python is too old, cannot make environments, or there is no git."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older Python may be asked to run
        sys.exit(f"emdvc needs Python 3.11 or later; this is {sys.version.split()[0]}. Try: python3.11 dev.py")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(f"this Python cannot make environments. On Debian or Ubuntu: sudo apt install python{version}-venv")
    if shutil.which("git") is None:
        sys.exit("git is not installed, or not on PATH: https://git-scm.com/downloads")


def free_folder(name: str) -> Path:
    """Return the first of ``name``, ``name-2``, ``name-3``... that does not exist here."""
    folder, number = Path(name), 2
    while folder.exists():
        folder, number = Path(f"{name}-{number}"), number + 1
    return folder


def run(*command: object, cwd: Path | None = None) -> int:
    """Run a program of the environment and return its exit status."""
    return subprocess.run([str(part) for part in command], cwd=cwd, env=environment(), check=False).returncode


def said_by(*command: object, cwd: Path | None = None) -> tuple[int, str]:
    """Run a program of the environment and return its exit status and what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    return done.returncode, done.stdout


def environment() -> dict[str, str]:
    """Return the variables of the environment's programs: it is first on their PATH."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    found = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}
    # each command of emdvc is a process of its own: without byte code it would compile every module anew
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as failure:
        sys.exit(f"dev.py: this command failed (its own message stands above): {' '.join(map(str, failure.cmd))}")
    except KeyboardInterrupt:
        sys.exit(130)
