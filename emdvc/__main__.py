"""``python -m emdvc`` is ``emdvc``."""

from emdvc.cli.main import run

# the worker processes of a local dask cluster import this module once more
if __name__ == "__main__":
    run()
