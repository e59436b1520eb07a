"""The state of a project for people: one HTML page, Markdown, JSON."""
