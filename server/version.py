"""Which Espalier this is."""

from __future__ import annotations

import functools
from importlib import metadata


@functools.cache
def version() -> str:
    """The installed version; ``0+source`` when run from a folder that was never installed."""
    try:
        return metadata.version("espalier")
    except metadata.PackageNotFoundError:
        return "0+source"
