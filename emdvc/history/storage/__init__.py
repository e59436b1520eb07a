"""The storage that a remote is: folders, S3, SSH, WebDAV and HTTP behind one contract, without DVC."""
