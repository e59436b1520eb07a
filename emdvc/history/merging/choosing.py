"""Who merges a file: found by its name, and by whether a stage writes it."""

from __future__ import annotations

from pathlib import PurePosixPath

from emdvc.history.merging.contract import Merger, Place, Three

_SIDECAR = ".em.yaml"


def merger_of(three: Three, place: Place) -> Merger | None:
    """Return what merges a file; None where it is nothing emdvc knows: git then merges it line by line.

    Parameters
    ----------
    three
        The file on the three sides.
    place
        Where the merge happens: its pipelines say which files stages write.
    """
    name = three.path.name
    if name == "dvc.lock":
        from emdvc.history.merging.stages.lock import merge_lock

        return merge_lock
    if name == "dvc.yaml":
        from emdvc.history.merging.texts.pipeline import merge_pipeline

        return merge_pipeline
    if name.endswith(".dvc") and name != ".dvc":
        from emdvc.history.merging.datasets.pointer import merge_pointer

        return merge_pointer
    if name == ".gitignore":
        from emdvc.history.merging.texts.added_lines import merge_ignored

        return merge_ignored
    if name == ".gitattributes":
        from emdvc.history.merging.texts.added_lines import merge_attributes

        return merge_attributes
    from emdvc.history.merging.stages.results import merge_result, written_by_stage

    if written_by_stage(three, place) is not None:
        return merge_result
    if name.endswith(_SIDECAR):
        from emdvc.history.merging.texts.sidecar import merge_sidecar

        return merge_sidecar
    return _by_ending(three.path)


def _by_ending(path: PurePosixPath) -> Merger | None:
    if path.suffix in (".yaml", ".yml"):
        from emdvc.history.merging.texts.mapping import merge_yaml

        return merge_yaml
    if path.suffix == ".json":
        from emdvc.history.merging.texts.mapping import merge_json

        return merge_json
    return None
