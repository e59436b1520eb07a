"""A file of any instrument, as named and calibrated arrays with their metadata; and the sidecar file beside it."""
