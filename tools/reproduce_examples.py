"""Computes every example from nothing, in a copy without a cache, and requires what is committed.

Lock files, sidecars and pictures are compared. A difference means that a result depends on something that is not
written down, or that a step gives other numbers without having raised its version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Reproduce every example and return 0 when each is as committed."""
    with tempfile.TemporaryDirectory(prefix="emdvc-examples-", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch) / "emdvc"
        _copy(copy)
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "DVC_SITE_CACHE_DIR": str(Path(scratch) / "dvc"),
            "DVC_NO_ANALYTICS": "1",
            # environments of external programs are made from nothing, too
            "EMDVC_ENVIRONMENTS": str(Path(scratch) / "environments"),
        }
        differ = [
            example.parent.name
            for example in sorted(copy.glob("examples/*/dvc.yaml"))
            if not _same(example, copy, environment)
        ]
    print(f"not reproduced: {', '.join(differ)}" if differ else "every example was reproduced: the same bytes")
    return 1 if differ else 0


def _copy(copy: Path) -> None:
    """Copy this checkout as it stands, but nothing that git ignores, and make it a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy / name)
    who = ["-c", "user.name=examples", "-c", "user.email=examples@localhost", "-c", "commit.gpgSign=false"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "as it stands"]):
        subprocess.run(["git", *words], cwd=copy, check=True)


def _same(pipeline: Path, copy: Path, environment: dict[str, str]) -> bool:
    """Run one pipeline and say whether everything that git tracks in its folder is as committed."""
    began = time.monotonic()
    folder = pipeline.parent
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "--force", str(pipeline.relative_to(copy))],
        cwd=copy,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if ran.returncode != 0:
        print(f"{folder.name}: failed\n{ran.stdout}{ran.stderr}")
        return False
    changes = subprocess.run(
        ["git", "status", "--porcelain", "--", str(folder)], cwd=copy, capture_output=True, encoding="utf-8", check=True
    ).stdout
    print(f"{folder.name}: {'differs' if changes else 'the same bytes'}, {time.monotonic() - began:.0f} s", flush=True)
    if changes:
        print(changes, flush=True)
        subprocess.run(["git", "--no-pager", "diff", "--", "*.lock", "*.yaml"], cwd=folder, check=False)
    return not changes


if __name__ == "__main__":
    sys.exit(main())
