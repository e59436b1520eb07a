"""The state of a project at a revision, gathered for a report."""
