"""``python -m server.cli``: the ``espalier`` command where it is not installed."""

from server.cli import main

main()
