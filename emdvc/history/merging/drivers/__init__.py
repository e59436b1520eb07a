"""The merge drivers that git calls: their set-up in a clone, and the check before a commit."""
