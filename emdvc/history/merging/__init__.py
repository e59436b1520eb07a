"""Merging two lines of work: the three sides of a file in, one text or a question out.

``contract`` has the words; ``choosing`` finds who merges a file; the other modules each merge one kind of file, and are
pure: the same three sides and the same choices always give the same bytes, whichever side is called ours.
"""
