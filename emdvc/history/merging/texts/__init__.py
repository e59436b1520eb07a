"""Texts that people and programs write, merged by their keys: YAML, JSON, sidecars, pipelines; else line by line."""
