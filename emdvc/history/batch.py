"""One git process that reads many files of many revisions."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from emdvc.history import git


class Batch:
    """``git cat-file --batch``, started at the first read. Use it as a context manager.

    Parameters
    ----------
    cwd
        A folder of the repository.
    """

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Batch:
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let git go."""
        self.close()

    def close(self) -> None:
        """End the git process, if one was started."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None where there is none.

        Parameters
        ----------
        name
            Id of a blob, or ``REVISION:PATH`` with a path relative to the git root.

        Raises
        ------
        EnvironmentFault
            Git is not installed.
        """
        if "\n" in name:  # the batch protocol is line based
            revision, _, path = name.partition(":")
            return git.show(revision, path, self.cwd)
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name}\n".encode("utf-8", "surrogateescape"))
        self._process.stdin.flush()
        header = self._process.stdout.readline().split()
        if len(header) < 3 or not header[-1].isdigit():  # "<name> missing"
            return None
        content = self._process.stdout.read(int(header[-1]))
        self._process.stdout.read(1)
        return content if header[-2] == b"blob" else None

    def text(self, name: str) -> str | None:
        r"""Return the text of a file with ``\\n`` line ends, or None where there is none."""
        content = self.read(name)
        return None if content is None else content.decode("utf-8", "replace").replace("\r\n", "\n")

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", "cat-file", "--batch"],
                cwd=self.cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise git.missing() from error
