"""emdvc: version control for electron-microscopy data, layered on DVC."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emdvc.formats.dataset import open_dataset as open_dataset
    from emdvc.render.notebook import diff as diff
    from emdvc.steps.user import Calibration as Calibration
    from emdvc.steps.user import DataPath as DataPath
    from emdvc.steps.user import Energy as Energy
    from emdvc.steps.user import Output as Output
    from emdvc.steps.user import Position as Position
    from emdvc.steps.user import Radius as Radius
    from emdvc.steps.user import Sum as Sum
    from emdvc.steps.user import step as step

__version__ = "0.1.0"
#: What a script needs to define a step of its own.
_FOR_STEPS = ("Calibration", "DataPath", "Energy", "Output", "Position", "Radius", "Sum", "step")

__all__ = [
    "Calibration",
    "DataPath",
    "Energy",
    "Output",
    "Position",
    "Radius",
    "Sum",
    "__version__",
    "diff",
    "open_dataset",
    "step",
]


def __getattr__(name: str) -> Any:
    # Importing emdvc must stay free of numpy, xarray, numba and dvc: a command that needs none of them answers at once.
    if name == "open_dataset":
        from emdvc.formats.dataset import open_dataset

        return open_dataset
    if name == "diff":
        # by name: what imports emdvc for its version must not reach up to what renders
        return import_module("emdvc.render.notebook").diff
    if name in _FOR_STEPS:
        from emdvc.steps import user

        return getattr(user, name)
    raise AttributeError(f"module 'emdvc' has no attribute '{name}'")
