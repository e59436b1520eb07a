"""One module per file format (or per package that reads a family of them), each imported only when a file needs it."""
