"""Data that stays where it is: stages that read it there, and raw data recorded at a facility without a copy here."""
