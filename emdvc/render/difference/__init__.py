"""A difference for people: text, Markdown, one HTML page, pictures."""
