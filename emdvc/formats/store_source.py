"""The files of a Zarr store that do not lie in its folder, as the reader of its chunks asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from emdvc.errors import EmdvcError
    from emdvc.formats.zarr_keys import ChunkKeys


class StoredFile(Protocol):
    """A file, or one elsewhere of which parts are read: what an unbuffered file of Python's can do."""

    def __enter__(self) -> StoredFile:
        """Return the file itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place and return it, counted from the beginning."""

    def readinto(self, memory: Any, /) -> int | None:
        """Fill memory from the place on and return how much was there."""


class StoreSource(Protocol):
    """Where the files of a store come from. All methods may be called from several threads at once."""

    def zarr_store(self) -> Any:
        """Return the store as zarr-python reads it."""

    def read(self, key: str) -> bytes:
        """Return a whole, small file.

        Raises
        ------
        FileNotFoundError
            The store has none of that name.
        DataMissingError, EnvironmentFault
            It has one, but its bytes are not to be had.
        """

    def begin(self, keys: ChunkKeys, indices: Sequence[tuple[int, ...]], nbytes: int) -> None:
        """Begin to fetch files that are about to be opened, side by side, and those that will probably be next.

        Parameters
        ----------
        keys
            Names of the files of the array.
        indices
            Which of them.
        nbytes
            Bytes that one holds at most.
        """

    def begin_parts(self, parts: Sequence[tuple[str, int, bool]]) -> list[str]:
        """Begin to fetch the ends of files of which only parts are wanted; what they hold is checked by the caller.

        Parameters
        ----------
        parts
            File, bytes, and whether they are its first bytes instead of its last.

        Returns
        -------
            Those files that are fetched in parts; the others come whole.
        """

    def expect(self, key: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch parts (start, size) of a file that :meth:`begin_parts` began."""

    def open(self, key: str) -> StoredFile:
        """Open a file, waiting for it.

        Raises
        ------
        FileNotFoundError
            The store has none of that name.
        DataMissingError, EnvironmentFault
            It has one, but its bytes are not to be had.
        """

    def damaged(self, key: str, error: Exception) -> EmdvcError | None:
        """Return the error of a file of which a part is not what it should be; None where it was checked as a whole."""


def source_of(store: Any) -> StoreSource | None:
    """Return where the files of a zarr-python store come from; None for one in a folder."""
    found: StoreSource | None = getattr(store, "source", None)
    return found
