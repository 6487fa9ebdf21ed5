"""Accuracy against budget, measured on a running server."""
