"""Checks of other people's clients against a started server: ``make check-clients``."""
