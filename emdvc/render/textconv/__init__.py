"""What git shows instead of sidecars, pointers and dvc.lock."""
