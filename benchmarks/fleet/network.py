"""A small network of hosts on one machine: a bridge, and network namespaces that hang on it by cables one can pull.

It lives in namespaces of its own: nothing of it can be reached from outside, and when this program ends, however it
does, the kernel ends all that it started and takes the network down. Needs root.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("unshare", "nsenter", "ip", "mount", "dnsmasq", "nginx")
INSIDE = "ESPALIER_FLEET_INSIDE"
BRIDGE, SUBNET, ROUTER = "fleet", "10.77.0", "10.77.0.1"
"""Names and addresses inside; whatever the machine itself uses them for is elsewhere."""

SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> str:
    """What keeps a fleet from being built here; empty for nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [program for program in PROGRAMS if not shutil.which(program, path=SYSTEM_PATH)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def go_inside(module: str) -> None:
    """Starts this program anew in a network of its own, unless it is there already."""
    if os.environ.get(INSIDE):
        return
    os.environ |= {INSIDE: "1", "PATH": SYSTEM_PATH}
    own = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", ["unshare", *own, sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606, S607


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the network.

    Args:
        ip: Its address.
        pid: Of the process that keeps its namespaces.
        cable: The bridge's end of its cable.
    """

    ip: str
    pid: int
    cable: str

    def command(self, *words: str) -> tuple[str, ...]:
        """The command line by which a program runs on it."""
        return ("nsenter", "--target", str(self.pid), "--net", "--mount", f"--wd={Path.cwd()}", "--", *words)

    async def cut_off(self) -> None:
        """Pulls its cable: what is sent to it is lost, and nobody is told."""
        await run("ip", "link", "set", self.cable, "down")

    async def reconnect(self) -> None:
        """Plugs its cable in again."""
        await run("ip", "link", "set", self.cable, "up")


@dataclass(eq=False)
class Network:
    """The bridge and what hangs on it."""

    folder: Path
    _held: AsyncExitStack
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(11))

    async def host(self) -> Host:
        """A new machine, with the next address, that asks the router for names."""
        number = next(self._numbers)
        holder = await self._held.enter_async_context(_process("unshare", "--net", "--mount", "sleep", "infinity"))
        await asyncio.to_thread(_wait_apart, holder.pid)
        host = Host(f"{SUBNET}.{number}", holder.pid, f"cable{number}")
        await run("ip", "link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        await run("ip", "link", "set", host.cable, "master", BRIDGE, "up")
        for line in ("addr add {}/24 dev eth0", "link set eth0 up", "link set lo up", "route add default via {router}"):
            await run(*host.command("ip", *line.format(host.ip, router=ROUTER).split()))
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {ROUTER}\noptions timeout:1 attempts:2\n")
        await run(*host.command("mount", "--bind", str(resolver), "/etc/resolv.conf"))
        return host


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    """The network, empty but for the router, which is where this program itself runs."""
    # Killed engines leave their shared memory behind.
    await run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # noqa: S108
    await run("ip", "link", "set", "lo", "up")
    await run("ip", "link", "add", BRIDGE, "type", "bridge")
    await run("ip", "addr", "add", f"{ROUTER}/24", "dev", BRIDGE)
    await run("ip", "link", "set", BRIDGE, "up")
    with tempfile.TemporaryDirectory(prefix="espalier-fleet-") as folder:
        async with AsyncExitStack() as held:
            yield Network(Path(folder), held)
    await run("ip", "link", "del", BRIDGE)


async def run(*words: str) -> None:
    """Runs a short command.

    Raises:
        RuntimeError: It failed; the message is what it said.
    """
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: {said.decode().strip()}")


@asynccontextmanager
async def _process(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*words)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


def _wait_apart(pid: int) -> None:
    """Waits until a process has left our network namespace."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        time.sleep(0.005)
