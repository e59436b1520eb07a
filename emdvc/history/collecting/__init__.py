"""Freeing space: which stored objects no revision, no project and no person needs any more."""
