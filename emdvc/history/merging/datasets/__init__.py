"""Data under ``add``: pointers, lists of files, chunks, single elements, and what the sidecar says of the bytes."""
