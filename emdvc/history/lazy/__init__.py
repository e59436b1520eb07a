"""Recorded data that is looked into where it is: nothing is pulled first, only what is read comes here."""
