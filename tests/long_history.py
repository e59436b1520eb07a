"""A long history, written straight into git: many datasets, and one of them changed by each commit."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from emdvc.formats import sidecar as sidecars
from emdvc.model.axis import INHERITED, Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo


def write_history(folder: Path, commits: int, raw: int = 5, results: int = 15) -> list[str]:
    """Make a folder a project whose history has many commits, and return its datasets.

    The first commit brings all datasets. Each further one changes the next dataset in turn: of raw data a calibration,
    of a result its bytes, its sum and the parameter of its stage.

    Parameters
    ----------
    folder
        A new folder.
    commits
        How many commits.
    raw, results
        How many datasets of each kind.
    """
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("", encoding="utf-8")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    names = [f"raw/scan{n:02}.mib" for n in range(raw)] + [f"results/image{n:02}.zarr" for n in range(results)]
    stream = "".join(_commits(names, raw, commits))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input=stream.encode(), check=True)
    subprocess.run(["git", "reset", "-q", "--hard", "main"], cwd=folder, check=True)
    return names


def _commits(names: list[str], raw: int, commits: int) -> Iterator[str]:
    rounds = dict.fromkeys(names, 0)
    for number in range(commits):
        changed = names if number == 0 else [names[number % len(names)]]
        for name in changed:
            rounds[name] += number > 0
        yield f"commit refs/heads/main\ncommitter E. Ruska <ruska@example.org> {1_700_000_000 + 60 * number} +0100\n"
        yield _data(f"commit {number}")
        for name in changed:
            if name.startswith("raw/"):
                yield f"M 644 inline {name}.em.yaml\n{_data(_scan(rounds[name]))}"
                pointer = f"outs:\n- md5: {_md5(name)}\n  size: 16\n  hash: md5\n  path: {Path(name).name}\n"
                yield f"M 644 inline {name}.dvc\n{_data(pointer)}"
            else:
                yield f"M 644 inline {name}.em.yaml\n{_data(_image(name, rounds[name]))}"
        yield f"M 644 inline dvc.lock\n{_data(_lock(names[raw:], rounds))}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _scan(turn: int) -> str:
    pixel_size = Quantity(0.02 + 0.001 * turn, "1/angstrom").to_dict()
    return sidecars.dump_yaml(
        Sidecar(
            record={"diffraction": {"pixel_size": pixel_size}, "operator": "Ruska"},
            axes={"y": Axis("y", 8, Role.SCAN, calibration="scan.step")},
            variables={"data": VariableInfo(("y",), (8,), "uint16", "sha256-units:" + "a" * 64, "counts")},
            main="data",
            source={"reader": "mib@1", "files": [{"path": "scan.mib", "sha256": "b" * 64, "size": 16}]},
        ).to_dict()
    )


def _image(name: str, turn: int) -> str:
    return sidecars.dump_yaml(
        Sidecar(
            axes={dim: Axis(dim, 8, Role.SCAN, calibration=INHERITED) for dim in ("y", "x")},
            variables={
                "image": VariableInfo(("y", "x"), (8, 8), "int64", f"sha256-units:{_md5(name + str(turn)) * 2}")
            },
            main="image",
            statistics={"image": {"count": 64, "sum": 1000 + turn, "min": 0, "max": 40, "mean": (1000 + turn) / 64}},
            provenance={
                "step": "virtual_detector",
                "version": 1,
                "parameters": {"outer": f"{10 + turn} px"},
                "inputs": {"raw/scan00.mib": {"digest": "sha256-units:" + "a" * 64}},
                "metadata": [],
            },
            inherits="../raw/scan00.mib",
        ).to_dict()
    )


def _lock(names: list[str], rounds: dict[str, int]) -> str:
    lines = ["schema: '2.0'", "stages:"]
    for name in names:
        stage, turn = Path(name).stem, rounds[name]
        lines += [
            f"  {stage}:",
            f"    cmd: emdvc run virtual_detector raw/scan00.mib {name}",
            "    deps:",
            *_entry("raw/scan00.mib", _md5("raw/scan00.mib")),
            "    params:",
            "      params.yaml:",
            f"        {stage}:",
            f"          outer: {10 + turn}px",
            "      .emdvc/steps.yaml:",
            "        virtual_detector: 1",
            "    outs:",
            *_entry(name, _md5(f"{name} {turn}") + ".dir"),
            *_entry(f"{name}.em.yaml", _md5(f"sidecar {name} {turn}")),
        ]
    return "\n".join(lines) + "\n"


def _entry(path: str, md5: str) -> list[str]:
    return [f"    - path: {path}", "      hash: md5", f"      md5: {md5}", "      size: 751"]
