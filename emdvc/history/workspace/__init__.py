"""The workspace beside what is recorded, looked at without DVC: files, stages, cache, remote."""
