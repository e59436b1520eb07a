"""emdvc: version control for electron-microscopy data, layered on DVC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emdvc.formats.dataset import open_dataset as open_dataset

__version__ = "0.1.0"
__all__ = ["__version__", "open_dataset"]


def __getattr__(name: str) -> Any:
    # Importing emdvc must stay free of numpy, xarray, numba and dvc: a command that needs none of them answers at once.
    if name == "open_dataset":
        from emdvc.formats.dataset import open_dataset

        return open_dataset
    raise AttributeError(f"module 'emdvc' has no attribute '{name}'")
