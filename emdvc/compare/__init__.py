"""Two states of a dataset as one typed difference with a verdict."""
