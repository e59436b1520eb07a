"""Whole objects between DVC's cache and the remotes: fetched, pushed, and the records of runs shared.

- :func:`emdvc.history.transfer.fetching.fetch` brings objects into the cache; ``fetch_datasets`` whole datasets.
- :func:`emdvc.history.transfer.pushing.push` sends what revisions need and the remote itself says it lacks.
- :mod:`emdvc.history.transfer.runs` moves the records of DVC's run-cache, so that nobody runs a stage again.
"""
