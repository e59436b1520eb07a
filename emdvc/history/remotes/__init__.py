"""The remotes of a project: added with settings that hold, what each is for, checked, listed and removed."""
