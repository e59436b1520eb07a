"""Notebooks and external programs as stages: their environments, their runs, and what is recorded of them."""
