"""The nouns: quantity, axis, acquisition record, sidecar. Pure values; nothing here reads a file or imports numpy."""
