"""Datasets, differences and steps for people: terminal text, tables, pictures."""
