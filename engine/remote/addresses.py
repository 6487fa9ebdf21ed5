"""Where servers are: addresses as settings write them, and the servers that a name stands for at the moment."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcts.errors import StartupError

DYNAMIC = "dns+"
PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str, int], Awaitable[set[str]]]
"""Gives the IP addresses of a name; raises ``OSError`` where there is none."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One server.

    Args:
        url: Where it is, without ``/v1`` and without a slash at the end. Also its name.
        host: What the Host header says and TLS checks, where that is not in ``url``; empty otherwise.
    """

    url: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the settings: one server, or a name that stands for several and is watched."""

    scheme: str
    host: str
    port: int
    path: str = ""
    dynamic: bool = False

    def __str__(self) -> str:
        return (DYNAMIC if self.dynamic else "") + self.at(self.host).url

    def at(self, host: str) -> Endpoint:
        """The server at a host name or IP address."""
        shown = f"[{host}]" if ":" in host else host
        name = "" if host == self.host else f"{self.host}:{self.port}"
        return Endpoint(f"{self.scheme}://{shown}:{self.port}{self.path}", name)


def read_address(text: str, setting: str) -> Address:
    """An address as a setting writes it.

    That is ``http://host:port`` or ``https://host:port``, with ``dns+`` before it where the name stands for several
    servers. A path ``/v1`` at its end is dropped.

    Raises:
        StartupError: It is no such address; the message names the setting.
    """
    dynamic = text.startswith(DYNAMIC)
    try:
        parts = urlsplit(text.removeprefix(DYNAMIC))
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    example = "such as http://10.0.0.7:8000 or dns+http://engines:8000"
    if scheme not in PORTS or not host or parts.query or parts.fragment:
        raise StartupError(f"{setting}: {text!r} is no address {example}")
    if parts.username or parts.password:
        raise StartupError(f"{setting}: an address holds no user and no password; give a key by itself")
    if dynamic and _is_ip(host):
        raise StartupError(f"{setting}: {text!r} names an IP address; drop 'dns+', or give a name")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return Address(scheme, host, port or PORTS[scheme], path, dynamic)


async def resolve(host: str, port: int) -> set[str]:
    """The IP addresses of a name, as the system finds them.

    Raises:
        OSError: There is no such name, or nobody to ask.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {str(each[4][0]) for each in found}


async def endpoints(address: Address, resolver: Resolver = resolve) -> set[Endpoint]:
    """The servers that an address stands for now.

    Raises:
        OSError: Its name cannot be resolved.
    """
    if not address.dynamic:
        return {address.at(address.host)}
    return {address.at(ip) for ip in await resolver(address.host, address.port)}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
