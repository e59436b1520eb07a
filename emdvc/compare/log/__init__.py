"""The history of one dataset."""
