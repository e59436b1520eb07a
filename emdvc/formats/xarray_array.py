"""An array of a file as xarray takes it: indexed first, read then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from numpy.typing import NDArray


class EmdvcArray(BackendArray):
    """One array of a dataset on disk; only the indexed part is read. Opens itself again in another process."""

    def __init__(self, source: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._source, self._name = source, name
        self.shape = shape
        self.dtype = dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the indexed part, read from the file."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._basic)

    def _basic(self, key: tuple[Any, ...]) -> NDArray[Any]:
        region: list[slice] = []
        local: list[slice | int] = []
        for part, size in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                indices = range(*part.indices(size))
                low, high = (min(indices), max(indices) + 1) if indices else (0, 0)
                region.append(slice(low, high))
                local.append(slice(None, None, indices.step))
            else:
                index = int(part) % size
                region.append(slice(index, index + 1))
                local.append(0)
        values = self._source.array(self._name).read(tuple(region))
        # xarray hands it to people, who may write into it
        return np.array(values[tuple(local)]) if not values.flags.writeable else np.asarray(values[tuple(local)])
