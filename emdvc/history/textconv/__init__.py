"""What lets git call emdvc for the text of a file: settings, a script, kept texts."""
