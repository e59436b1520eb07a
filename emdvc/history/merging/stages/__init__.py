"""What stages computed: dvc.lock, entry by entry, and the files of results that git keeps."""
