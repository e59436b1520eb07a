"""The steps by name. A step's module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from emdvc.errors import Code, StepError, suggest
from emdvc.steps.contract import Step

# name -> (module, class). The summaries for listings come from the classes themselves.
_STEPS = {
    "recipe": ("emdvc.steps.recipe", "Recipe"),
    "sum_pattern": ("emdvc.steps.sum_pattern", "SumPattern"),
    "sum_spectrum": ("emdvc.steps.sum_spectrum", "SumSpectrum"),
    "frame_statistics": ("emdvc.steps.frame_statistics", "FrameStatistics"),
    "spectrum_statistics": ("emdvc.steps.spectrum_statistics", "SpectrumStatistics"),
    "bad_pixels": ("emdvc.steps.bad_pixels", "BadPixels"),
    "correct": ("emdvc.steps.correct", "Correct"),
    "crop": ("emdvc.steps.crop", "Crop"),
    "rebin": ("emdvc.steps.rebin", "Rebin"),
    "virtual_image": ("emdvc.steps.virtual_image", "VirtualImage"),
    "virtual_detector": ("emdvc.steps.virtual_detector", "VirtualDetector"),
    "center_of_mass": ("emdvc.steps.center_of_mass", "CenterOfMass"),
    "scan_rotation": ("emdvc.steps.scan_rotation", "ScanRotation"),
    "dpc": ("emdvc.steps.dpc", "Dpc"),
    "idpc": ("emdvc.steps.idpc", "IntegratedDpc"),
    "descan_fit": ("emdvc.steps.descan_fit", "DescanFit"),
    "align": ("emdvc.steps.align", "Align"),
    "radial_profile": ("emdvc.steps.radial_profile", "RadialProfile"),
    "azimuthal_profile": ("emdvc.steps.azimuthal_profile", "AzimuthalProfile"),
    "polar_transform": ("emdvc.steps.polar_transform", "PolarTransform"),
    "ellipse_fit": ("emdvc.steps.ellipse_fit", "EllipseFit"),
    "ring_variance": ("emdvc.steps.ring_variance", "RingVariance"),
    "fem_variance": ("emdvc.steps.fem_variance", "FemVariance"),
    "angular_correlation": ("emdvc.steps.angular_correlation", "AngularCorrelation"),
    "bragg_disks": ("emdvc.steps.bragg_disks", "BraggDisks"),
    "find_peaks": ("emdvc.steps.find_peaks", "FindPeaks"),
    "strain": ("emdvc.steps.strain", "Strain"),
    "energy_map": ("emdvc.steps.energy_map", "EnergyMap"),
    "elemental_map": ("emdvc.steps.elemental_map", "ElementalMap"),
    "power_law_background": ("emdvc.steps.power_law_background", "PowerLawBackground"),
    "align_zero_loss": ("emdvc.steps.align_zero_loss", "AlignZeroLoss"),
    "thickness": ("emdvc.steps.thickness", "Thickness"),
    "line_intensity": ("emdvc.steps.line_intensity", "LineIntensity"),
    "pca": ("emdvc.steps.pca", "PrincipalComponents"),
    "convert": ("emdvc.steps.convert", "Convert"),
}


def names() -> tuple[str, ...]:
    """Return the names of all steps."""
    return tuple(_STEPS)


def find(name: str, root: Path | None = None) -> Step:
    """Return the step with a name.

    Parameters
    ----------
    name
        Of a step that comes with emdvc, or of one that a script defines: ``scripts/halo.py::halo``.
    root
        Where the path of a script starts; default: the current folder.

    Raises
    ------
    StepError
        There is none, the nearest name is suggested; or the script cannot be loaded.
    """
    if ".py" in name:
        from emdvc.steps import user

        if user.is_script(name):
            return user.find(name, root)
    if name not in _STEPS:
        near = suggest(name, tuple(_STEPS))
        raise StepError(
            f"there is no step '{name}'",
            code=Code.STEP_UNKNOWN,
            hint=f"did you mean {near}?" if near else "`emdvc steps` lists them",
        )
    module, attribute = _STEPS[name]
    step: Step = getattr(import_module(module), attribute)()
    return step
