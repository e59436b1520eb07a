"""An environment for each peer, made with venv and pip where it is not there yet, and the peer that runs in it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
#: Where environments are made; not part of the repository.
FOLDER = HERE / ".environments"


@dataclass(frozen=True)
class Peer:
    """A package that does the same.

    Parameters
    ----------
    name
        What the table calls it.
    requirements
        What pip is asked for.
    """

    name: str
    requirements: tuple[str, ...]

    @property
    def key(self) -> str:
        """Name of its folder and its script."""
        return self.name.lower()


PEERS = (
    Peer("LiberTEM", ("libertem==0.16.*", "libertem-blobfinder==0.6.*")),
    Peer("HyperSpy", ("hyperspy==2.*", "pyxem==0.21.*", "exspy==0.3.*", "scikit-learn")),
    Peer("py4DSTEM", ("py4DSTEM==0.14.*",)),
    Peer("fpd", ("fpd==0.2.*", "numpy<2")),
    Peer("pyFAI", ("pyFAI",)),
)


class Skipped(Exception):  # noqa: N818 - no error: the others are measured
    """A peer, or one of its operations, cannot be measured; the text says why in a few words."""


def python_of(peer: Peer) -> Path:
    """Return the Python of a peer's environment, which is made where it is not there.

    Raises
    ------
    Skipped
        It cannot be installed.
    """
    folder = FOLDER / peer.key
    stamp = folder / "requirements.txt"
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8").split() == list(peer.requirements)):
        print(f"making an environment for {peer.name}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        line = [str(programs / "python"), "-m", "pip", "install", "--quiet", *peer.requirements]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            wrong = [text for text in done.stderr.splitlines() if text.startswith("ERROR")]
            raise Skipped(f"not installable: {wrong[-1][7:] if wrong else 'pip failed'}"[:120])
        stamp.write_text("\n".join(peer.requirements), encoding="utf-8")
    return programs / "python"


class Conversation:
    """A peer that runs in its own environment and is asked for one operation after the other."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._saved = process, folder / "result.npz"
        told = self._answer()
        self.versions: dict[str, str] = told["versions"]
        self.operations: tuple[str, ...] = tuple(told["operations"])

    def seconds(self, operation: str, rows: int) -> float:
        """Run an operation once and return its seconds.

        Raises
        ------
        Skipped
            It fails.
        """
        return float(self._ask({"operation": operation, "rows": rows})["seconds"])

    def result(self, operation: str, rows: int) -> tuple[float, dict[str, NDArray[Any]]]:
        """Run an operation once and return its seconds and its arrays.

        Raises
        ------
        Skipped
            It fails.
        """
        answer = self._ask({"operation": operation, "rows": rows, "save": str(self._saved)})
        with np.load(self._saved) as found:
            return float(answer["seconds"]), {name: found[name] for name in found.files}

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Skipped("its process ended") from error
        answer = self._answer()
        if "error" in answer:
            raise Skipped(answer["error"])
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Skipped("its process ended")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def conversation(python: Path, script: Path, case: Path) -> Iterator[Conversation]:
    """Start a peer and end it.

    Parameters
    ----------
    python, script
        Of the peer.
    case
        The file that tells it what to do.

    Raises
    ------
    Skipped
        It cannot be started.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log.txt").open("w", encoding="utf-8") as log:
        line = [str(python), str(script), str(case)]
        process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder
        )
        try:
            yield Conversation(process, Path(folder))
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
