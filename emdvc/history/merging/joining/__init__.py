"""``emdvc merge``: a whole line of work into this one, to the end or back."""
