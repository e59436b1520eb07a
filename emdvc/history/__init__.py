"""Git and DVC: the project, its revisions, its stages, its raw data. The only part of emdvc that imports dvc."""
