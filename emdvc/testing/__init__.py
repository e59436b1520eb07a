"""Simulated measurements whose truth is known, and Hypothesis strategies: for tests of emdvc and of your own steps."""
