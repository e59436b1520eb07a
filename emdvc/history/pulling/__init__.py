"""Fetching data: whole datasets into the workspace, parts and previews into the cache."""
