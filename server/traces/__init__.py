"""Traces: the record of each search, enough to redraw and replay its tree. Built from the search's events alone."""
