"""Measurements of a running server from outside: what it bears, and what it does when something breaks."""
