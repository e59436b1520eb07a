"""Every key that `docs/reference/json.md` promises is there, and no command prints one that it does not name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"
ROW = re.compile(
    r"^\| `emdvc \w+(?: NAME| PATH| --bytes| --raw| --pattern)?` \| `emdvc/(?P<kind>\w+)` \| (?P<keys>.+) \|$",
    re.MULTILINE,
)


def _promised() -> dict[str, set[str]]:
    # what stands in brackets are values, not keys
    return {
        match["kind"]: set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", match["keys"])))
        for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))
    }


@pytest.mark.slow
def test_json_keys_are_those_of_the_reference(tmp_path: Path, emdvc: Emdvc) -> None:
    scan = write_npy(tmp_path / "scan.npy", DiffractionPhantom((4, 5), (16, 16)))
    project = tmp_path / "project"
    data, out = "raw/scan.npy", "results/image.zarr"
    commands: list[tuple[str, ...]] = [
        ("init", str(project), "--remote", f"lab={tmp_path / 'storage'}"),
        ("add", str(scan)),
        ("inspect", data),
        ("inspect", data, "--pattern", "1,2"),
        ("formats",),
        ("fields",),
        ("steps",),
        ("steps", "virtual_detector"),
        ("stage", "add", "virtual_image", "-d", data, "-o", out),
        ("save", "-m", "all"),
        ("merge", "HEAD"),
        ("push",),
        ("pull",),
        ("repro",),
        ("status",),
        ("diff",),
        ("log", data),
        ("report",),
        ("verify",),
        ("verify", "--bytes"),
        ("verify", "--raw"),
        ("gc",),
        ("doctor",),
        ("git", "status"),
        ("get", str(project), str(tmp_path / "theirs")),
        ("lock", data),
        ("lock",),
        ("unlock", data),
        ("remove", data, "--reason", "a test", "--dry-run"),
    ]
    found = {}
    for words in commands:
        if words[0] == "save":
            subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)
        answer = emdvc(*words, "--json", cwd=tmp_path if words[0] == "init" else project, status=None).stdout
        said = json.loads(answer)
        kind = said.pop("schema").removeprefix("emdvc/")
        assert said.pop("version") == (2 if kind == "diff" else 1)
        found[kind] = set(said)
    assert found == _promised()
