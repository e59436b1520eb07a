"""The files of a recorded Zarr store: from the cache, else from the remote, several at a time and some ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from emdvc.errors import DataMissingError
from emdvc.formats.zarr_keys import ChunkKeys
from emdvc.history.lazy.arriving import waited
from emdvc.history.lazy.part_file import PartFile, PartReader
from emdvc.history.lazy.readahead import Walk
from emdvc.history.lazy.recorded_dataset import RecordedDataset

if TYPE_CHECKING:
    from emdvc.formats.store_source import StoredFile
    from emdvc.history.lazy.zarr_store import RecordedStore

#: Shards whose indices are kept.
_SHARDS = 64


class RecordedFiles:
    """The files of a store; it is a :class:`emdvc.formats.store_source.StoreSource`.

    Parameters
    ----------
    dataset
        The store.
    """

    def __init__(self, dataset: RecordedDataset) -> None:
        self.dataset = dataset
        self._lock = threading.Lock()
        self._walks: dict[str, Walk] = {}
        self._parts: OrderedDict[str, PartFile] = OrderedDict()

    def zarr_store(self) -> RecordedStore:
        """Return the store as zarr-python reads it."""
        from emdvc.history.lazy.zarr_store import RecordedStore

        return RecordedStore(self)

    def start(self, names: Iterable[str]) -> dict[str, Path | Future[Path]]:
        """Begin to fetch files; those that the store does not have are left out.

        Raises
        ------
        DataMissingError
            Something is not here, and there is no remote to ask.
        """
        files, beside = self.dataset.files, self.dataset.beside
        wanted = {name: files[name] for name in names if name in files}
        begun = self.dataset.arriving.start(
            {md5: name for name, md5 in wanted.items()}, {md5: beside(name) for name, md5 in wanted.items()}
        )
        return {name: begun[md5] for name, md5 in wanted.items()}

    def fetch(self, names: Iterable[str]) -> dict[str, Path]:
        """Fetch files side by side and return where they lie; those that the store does not have are left out.

        Raises
        ------
        DataMissingError, EnvironmentFault
            One is not to be had; it is named.
        """
        return {name: one if isinstance(one, Path) else waited(one) for name, one in self.start(names).items()}

    def read(self, key: str) -> bytes:
        """Return a whole, small file."""
        if key not in self.dataset.files:
            raise FileNotFoundError(key)
        return self.fetch([key])[key].read_bytes()

    def begin(self, keys: ChunkKeys, indices: Sequence[tuple[int, ...]], nbytes: int) -> None:
        """Begin to fetch files that are about to be opened, and those that will probably be next."""
        if not indices:
            return
        with self._lock:
            ahead = self._walks.setdefault(keys.folder, Walk()).ahead(keys, indices, nbytes)
            for index in indices:
                self._parts.pop(keys.key(index), None)  # now the whole is worth it
        self.start(keys.key(index) for index in (*indices, *ahead))

    def begin_parts(self, parts: Sequence[tuple[str, int, bool]]) -> list[str]:
        """Begin to fetch the ends of files that are not here; return those that are now fetched in parts."""
        begun = []
        files, arriving = self.dataset.files, self.dataset.arriving
        for key, end, at_start in parts:
            md5 = files.get(key)
            if md5 is None or arriving.here(md5) is not None:
                continue
            with self._lock:
                part = self._parts.get(key)
                if part is None or part.failed:
                    part = self._parts[key] = PartFile(arriving, md5, key, end, at_start)
                    while len(self._parts) > max(_SHARDS, len(parts)):
                        self._parts.popitem(last=False)
                elif part.mostly_taken:
                    del self._parts[key]
                    continue
                self._parts.move_to_end(key)
            begun.append(key)
        return begun

    def expect(self, key: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch parts of a file."""
        with self._lock:
            part = self._parts.get(key)
        if part is not None:
            part.expect(ranges)

    def open(self, key: str) -> StoredFile:
        """Open a file, waiting for it."""
        md5 = self.dataset.files.get(key)
        if md5 is None:
            raise FileNotFoundError(key)
        with self._lock:
            part = self._parts.get(key)
        if part is not None and self.dataset.arriving.here(md5) is None:
            return PartReader(part)
        for _ in range(2):  # whoever clears the cache may come between
            try:
                return self.fetch([key])[key].open("rb", buffering=0)
            except FileNotFoundError:
                continue
        raise DataMissingError(
            f"a part of {self.dataset.name} vanished from DVC's cache while it was read",
            evidence=f"{key}: {self.dataset.arriving.cache}",
            hint="do not clear the cache meanwhile",
        )

    def damaged(self, key: str, error: Exception) -> DataMissingError | None:
        """Return the error of a file of which a part is not what it should be; None where it was checked whole."""
        with self._lock:
            part = self._parts.pop(key, None)
        return part.damaged(error) if part is not None else None
