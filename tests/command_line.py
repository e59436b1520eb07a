"""The command line as the tests call it: a process of its own, as a person's shell would start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Emdvc:
    """Runs `emdvc` and fails the test when the exit status is not the expected one."""

    folder: Path

    def __call__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        status: int | None = 0,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command line.

        Parameters
        ----------
        arguments
            As they are typed.
        cwd
            Where; by default in the test's folder.
        status
            The exit status that is expected; None accepts any.
        env
            More environment variables.
        """
        done = subprocess.run(
            [sys.executable, "-m", "emdvc", *map(str, arguments)],
            cwd=cwd or self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        assert status is None or done.returncode == status, (
            f"emdvc {' '.join(map(str, arguments))}: exit status {done.returncode}, not {status}\n"
            f"{done.stdout}\n{done.stderr}"
        )
        return done
