"""A recorded dataset as a store of zarr-python's, read-only: what is not here is fetched when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

    from emdvc.history.lazy.store_files import RecordedFiles


class RecordedStore(Store):
    """The files that DVC recorded, by name; every one that is delivered has been checked.

    A file that is not recorded is not there, as Zarr has it; one that is recorded and not to be had is an error.

    Parameters
    ----------
    source
        The files.
    """

    supports_writes: bool = False
    supports_deletes: bool = False
    supports_listing: bool = True

    def __init__(self, source: RecordedFiles) -> None:
        super().__init__(read_only=True)
        self.source = source
        #: What messages call it.
        self.root = Path(source.dataset.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordedStore) and other.source is self.source

    def __hash__(self) -> int:
        return id(self.source)

    def __str__(self) -> str:
        return f"emdvc://{self.source.dataset.name}"

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a file, or a part of one; None where nothing of that name was recorded."""
        if key not in self.source.dataset.files:
            return None
        coming = self.source.start([key])[key]
        path = coming if isinstance(coming, Path) else await asyncio.wrap_future(coming)
        return prototype.buffer.from_bytes(await asyncio.to_thread(_part, path, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several, fetched side by side."""
        wanted = list(key_ranges)
        self.source.start(key for key, _ in wanted)
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in wanted)))

    async def exists(self, key: str) -> bool:
        """Say whether a file of that name was recorded."""
        return key in self.source.dataset.files

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: what was recorded does not change."""
        raise PermissionError(f"{self} is read-only")

    async def delete(self, key: str) -> None:
        """Refuse: what was recorded does not change."""
        raise PermissionError(f"{self} is read-only")

    async def list(self) -> AsyncIterator[str]:
        """Yield the name of every file."""
        for name in self.source.dataset.files:
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the name of every file that begins so."""
        for name in self.source.dataset.files:
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of the files and folders in a folder."""
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        names = (name[len(folder) :] for name in self.source.dataset.files if name.startswith(folder))
        for name in dict.fromkeys(name.partition("/")[0] for name in names):
            yield name


def _part(path: Path, part: ByteRequest | None) -> bytes:
    with path.open("rb") as file:
        if isinstance(part, RangeByteRequest):
            file.seek(part.start)
            return file.read(part.end - part.start)
        if isinstance(part, OffsetByteRequest):
            file.seek(part.offset)
        elif isinstance(part, SuffixByteRequest):
            file.seek(max(0, file.seek(0, 2) - part.suffix))
        return file.read()
