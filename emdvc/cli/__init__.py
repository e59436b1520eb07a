"""The command line: each module parses the arguments of one command, calls below, and prints."""
