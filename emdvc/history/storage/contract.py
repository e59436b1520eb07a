"""What a kind of storage can do: the one contract between a remote's protocol and everything that moves data.

Every kind is a small driver over the library that its field uses. What a driver promises:

- Nobody ever meets half an object: :meth:`Storage.send` writes under another name, or in a way that the server makes
  visible at once, and looks at what it wrote before it says that it is there.
- No call hangs: where nothing arrives and nothing is taken for :data:`PATIENCE` seconds, it raises
  :class:`SilentFault`.
- Every fault is one of emdvc's errors with a remedy. Of those only :class:`InterruptedFault` (and with it
  :class:`SilentFault`) is worth another try; :mod:`emdvc.history.storage.trying` tries.
- That something is not there is ``FileNotFoundError``: no fault of the remote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from emdvc.errors import Code, EnvironmentFault

#: Seconds without a byte in either direction after which a server counts as silent, unless the settings say otherwise.
PATIENCE = 60.0

#: Folder of a remote for what is not yet whole.
ARRIVING = "emdvc-tmp"

#: Told the number of bytes that were moved since the last call; called in the event loop's thread.
Advance = Callable[[int], None]


def unseen(count: int) -> None:
    """Show nothing of the bytes that were moved."""


class InterruptedFault(EnvironmentFault):
    """The line or the server failed in a way that may be gone at the next try."""

    default_code = Code.REMOTE


class SilentFault(InterruptedFault):
    """The server took and gave nothing for too long."""

    default_code = Code.REMOTE_SILENT


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """What DVC's settings say of a remote, all levels together (a local file wins over a shared one).

    Parameters
    ----------
    name
        Of the remote.
    url
        Where it is: a URL, or an absolute folder. Without a password.
    options
        Everything else that is set, in DVC's own words and as text: ``endpointurl``, ``keyfile``, ``jobs``, ``verify``.
    patience
        Seconds as :data:`PATIENCE`.
    """

    name: str
    url: str
    options: dict[str, str] = field(default_factory=dict)
    patience: float = PATIENCE

    @property
    def scheme(self) -> str:
        """What the URL begins with: ``s3``, ``ssh``, ``webdavs``; ``folder`` for a folder."""
        return self.url.split("://", 1)[0].lower() if "://" in self.url else "folder"

    def flag(self, name: str) -> bool | None:
        """Return an option that is true or false; None where it is not set."""
        text = self.options.get(name)
        return None if text is None else text.strip().lower() in ("true", "yes", "1", "on")


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of an object without reading it.

    Parameters
    ----------
    size
        Bytes.
    etag
        The server's own mark of the content, without quotes; None where it has none.
    modified
        Time of change in seconds since 1970; None where unknown.
    version
        Of the object, where the server keeps versions.
    """

    size: int
    etag: str | None = None
    modified: float | None = None
    version: str | None = None


class Storage(Protocol):
    """The files on one remote; a key is a path below the remote's URL, with forward slashes.

    All coroutines run in the one event loop of :mod:`emdvc.history.storage.loop`, many at a time. ``open`` comes first,
    ``close`` last; a closed storage may be opened again.
    """

    settings: RemoteSettings
    #: Requests under way at a time that measured best.
    parallel: int

    async def open(self) -> None:
        """Connect, as far as the protocol connects. Raises EnvironmentFault with the remedy."""

    async def close(self) -> None:
        """Let the connections go."""

    async def stat(self, key: str) -> Stat | None:
        """Return what is known of an object; None where there is none."""

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every object below a folder by its key, at any depth; empty where there is no such folder."""

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes of an object from `start` to before `stop` (None: to the end).

        Raises
        ------
        FileNotFoundError
            There is no such object.
        EnvironmentFault
            Among others: it is shorter than `stop`.
        """

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch an object into a file, going on where the file ends if it holds something already.

        What was received stays in the file when the line breaks. The caller checks the content.

        Raises
        ------
        FileNotFoundError
            There is no such object; the file is left as it is.
        EnvironmentFault
        """

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Put a file in the place of an object: whole, or not at all; folders on the way are made.

        Where the protocol allows it, a large object goes on where an earlier, broken try has ended. What lies there
        afterwards has been compared with what was sent: by the server's checksum where it has one, else by its size.

        Parameters
        ----------
        md5
            Of the file, 32 hexadecimal digits, where it is known.

        Raises
        ------
        EnvironmentFault
        """

    async def create(self, key: str, content: bytes) -> bool:
        """Put a small object where there is none, and return whether there was none.

        Of all who try at the same time one succeeds, and nobody meets a part of the object. Where the line breaks it
        may be there although this raises: who tries again looks whose it is.

        Raises
        ------
        EnvironmentFault
            Among others: a storage of this kind cannot do that.
        """

    async def remove(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""


#: Makes the storage of some settings; it is not yet open.
Opener = Callable[[RemoteSettings], Storage]


def not_there(settings: RemoteSettings, key: str) -> FileNotFoundError:
    """Return the error that says there is no such object."""
    return FileNotFoundError(f"{settings.url.rstrip('/')}/{key}")


def time_of(header: str | None) -> float | None:
    """Return the time that a header of HTTP tells, in seconds since 1970; None where it tells none."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except ValueError:
        return None


def fault(
    settings: RemoteSettings,
    what: str,
    evidence: BaseException | str,
    hint: str,
    *,
    code: Code = Code.REMOTE,
    kind: type[EnvironmentFault] = EnvironmentFault,
) -> EnvironmentFault:
    """Return an error of a remote in one form, which names it.

    Parameters
    ----------
    what
        What it did, after its name: ``did not answer``, ``refused our key``.
    evidence
        The server's or the library's own words; of an exception its type and first line.
    hint
        The next command.
    kind
        Which class of error.
    """
    if isinstance(evidence, BaseException):
        lines: list[Any] = str(evidence).splitlines() or [""]
        evidence = f"{type(evidence).__name__}: {lines[0]}".rstrip(": ")
    return kind(f"the remote {settings.name} ({settings.url}) {what}", code=code, evidence=evidence, hint=hint)


def too_short(settings: RemoteSettings, key: str, end: int, stop: int) -> EnvironmentFault:
    """Return the fault of an object that ends before what was asked for."""
    return fault(
        settings,
        "holds a file that is too short",
        f"{key} ends at byte {end}, not at {stop} or later",
        "emdvc verify --bytes",
        code=Code.DATA_CORRUPT,
    )


def not_its_name(source: Path, found: str, md5: str) -> EnvironmentFault:
    """Return the fault of a file of ours that has not the md5 that it is to be sent under."""
    return EnvironmentFault(
        f"{source.name} is not what its name says: nothing was sent",
        code=Code.DATA_CORRUPT,
        evidence=f"its md5 is {found}, not {md5}",
        hint="emdvc verify --bytes --repair",
    )


def not_kept(settings: RemoteSettings, key: str, found: Stat | None, size: int) -> EnvironmentFault:
    """Return the fault of an object that is not there, or not whole, although it was sent; worth another try."""
    return fault(
        settings,
        "did not keep what was sent",
        f"{key} has {'no' if found is None else found.size} bytes there, not {size}",
        f"emdvc remote check {settings.name}",
        kind=InterruptedFault,
    )
