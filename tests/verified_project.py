"""A small project with a remote, its results computed by a step and by scripts: what `emdvc verify` is shown on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy

#: 1e-12 is far below any step between the sums of counts, which are whole numbers; one number is another each time.
SCRIPT = """\
import numpy as np

sums = np.load("raw/scan.npy").sum((2, 3)).astype(float)
draw = np.random.default_rng().random
np.save("results/tiny.npy", sums + 1e-12 * (1 + draw(sums.shape)))
sums[2, 3] += 1 + draw()
np.save("results/random.npy", sums)
"""
MEAN = """\
import numpy as np

with open("results/mean.yaml", "w") as file:
    file.write(f"unit: counts\\nmean: {float(np.load('results/random.npy').mean())!r}\\n")
"""
STAGES = """\
  noise:
    cmd: python scripts/noise.py
    deps: [scripts/noise.py, raw/scan.npy]
    outs: [results/tiny.npy, results/random.npy]
  mean:
    cmd: python scripts/mean.py
    deps: [scripts/mean.py, results/random.npy]
    metrics: [{results/mean.yaml: {cache: false}}]
"""


def environment(folder: Path) -> dict[str, str]:
    """Return git's and DVC's environment for a project that several tests copy: a fixture of a module has no other."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ernst Ruska"), ("EMAIL", "ruska@example.org"))
    }
    for name in ("site", "global", "system"):
        (folder / name).mkdir(exist_ok=True)
    return who | {
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(folder / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(folder / "system"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


#: The project, once it is made.
_MADE: list[Path] = []


def made(factory: pytest.TempPathFactory) -> Path:
    """Return the project, made at the first call and not to be changed (see :func:`copied`)."""
    if not _MADE:
        _MADE.append(_make(factory.mktemp("made")))
    return _MADE[0]


def _make(folder: Path) -> Path:
    """Make a project with its remote beside it: a scan, its sum pattern, and two stages of scripts."""
    env, emdvc, project = environment(folder), Emdvc(folder), folder / "project"
    emdvc("init", project, "--remote", f"lab={folder / 'store'}", env=env)
    # relative to the settings, so that project and remote can be copied together
    config = project / ".dvc" / "config"
    config.write_text(config.read_text().replace((folder / "store").as_posix(), "../../store"))
    emdvc("add", write_npy(folder / "scan.npy", DiffractionPhantom((6, 5), (16, 16))), cwd=project, env=env)
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.npy", "-o", "results/sum.zarr", cwd=project, env=env)
    (project / "scripts" / "noise.py").write_text(SCRIPT)
    (project / "scripts" / "mean.py").write_text(MEAN)
    with (project / ".emdvc" / "config.yaml").open("a") as file:
        file.write("compare: {tolerance: {results/tiny.npy: {atol: 1.0e-9}}}\n")
    with (project / "dvc.yaml").open("a") as file:
        file.write(STAGES)
    dvc(project, "repro", "-q", env=env)
    emdvc("save", "-m", "computed", cwd=project, env=env)
    return project


def copied(project: Path, target: Path) -> Path:
    """Copy a project and its remote to a folder of its own."""
    for name in ("project", "store"):
        shutil.copytree(project.parent / name, target / name, symlinks=True)
    return target / "project"


def dvc(project: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run DVC, which must work, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
    )
    return done.stdout


def git(project: Path, *arguments: str) -> str:
    """Run git; it must work."""
    done = subprocess.run(["git", *arguments], cwd=project, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def contents(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, tuple[str, int]]:
    """Return the digest and the time of change of every file below a folder, some left out by a part of their path."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in path.relative_to(folder).as_posix() for part in without)
    }


def verdicts_noted(project: Path) -> list[dict[str, Any]]:
    """Return what is noted of the last commit by verifications."""
    noted = json.loads(git(project, "notes", "--ref", "refs/notes/emdvc", "show", "HEAD"))
    return list(noted.get("verified", []))


def objects(folder: Path) -> Path:
    """Return where a cache or a remote in a folder keeps objects."""
    return folder / "files" / "md5"


def path_of(objects_: Path, md5: str) -> Path:
    """Return the file of an object."""
    return objects_ / md5[:2] / md5[2:]


def locked(project: Path, path: str) -> str:
    """Return the md5 that dvc.lock, or a ``.dvc`` file, records of a path."""
    pointer = project / f"{path}.dvc"
    said = YAML(typ="safe").load(pointer if pointer.is_file() else project / "dvc.lock")
    outs = said["outs"] if pointer.is_file() else [out for one in said["stages"].values() for out in one["outs"]]
    return next(str(out["md5"]) for out in outs if out["path"] in (path, Path(path).name))


def damage(path: Path, change: Any) -> None:
    """Write a changed content into an object, which stays read-only as DVC left it."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))
    path.chmod(mode)


def one_bit(content: bytes) -> bytes:
    """Return the content with one bit turned over."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
