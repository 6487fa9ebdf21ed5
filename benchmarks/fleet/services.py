"""What stands around a fleet and knows who is in it: a name server (dnsmasq) and a balancer (nginx), both real.

The name server does what headless Services do: a name stands for the parts that are ready. The balancer does what an
ingress does: it knows the gateways, and asks another one where a gateway is not there or refuses. Both run where the
clients are, on the network's router.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet.network import ROUTER
from benchmarks.fleet.parts import PORT, Part

ADDRESS = f"http://{ROUTER}:{PORT}"
"""Where clients ask."""

_BALANCER = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateways {{ {servers} }}
  server {{
    listen {router}:{port};
    location / {{
      proxy_pass http://gateways; proxy_http_version 1.1; proxy_buffering off;
      proxy_connect_timeout 2s; proxy_read_timeout 600s;
      proxy_next_upstream error timeout http_503 non_idempotent;
      add_header {tries} "$upstream_status; $upstream_connect_time" always;
    }}
  }}
}}
"""
"""A gateway that refuses a chat has not begun it, so another may be asked the same. nginx does so, too, where a gateway
breaks off before its reply begins; the header tells such repetitions apart."""

TRIES = "X-Tries"
"""Statuses of all tries and how long it took to connect, ``-`` where nobody was there."""


@dataclass(eq=False)
class Services:
    """The name server, the balancer, and who they know."""

    folder: Path
    names: dict[str, set[str]] = field(default_factory=dict)
    gateways: list[str] = field(default_factory=list)
    _dns: asyncio.subprocess.Process | None = None
    _balancer: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts the name server; the balancer starts with its first gateways."""
        self._write()
        self._dns = await asyncio.create_subprocess_exec(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--local-ttl=0",
            "--local=/fleet/", f"--addn-hosts={self.folder / 'hosts'}", f"--listen-address={ROUTER}",
            "--bind-interfaces", "--user=root", "--pid-file=", "--log-facility=/dev/null",
        )  # fmt: skip

    async def balance(self, gateways: list[Part]) -> None:
        """Sends clients to these gateways from now on. Requests under way go on where they are."""
        self.gateways = [gateway.host.ip for gateway in gateways]
        self._write()
        if self._balancer is None:
            settings = str(self.folder / "nginx.conf")
            log = str(self.folder / "nginx.log")
            self._balancer = await asyncio.create_subprocess_exec("nginx", "-c", settings, "-e", log)
            await _listens()
        else:
            self._balancer.send_signal(signal.SIGHUP)

    def enter(self, name: str, part: Part) -> None:
        """Has a name stand for a part, too."""
        self.names.setdefault(name, set()).add(part.host.ip)
        self._renew()

    def leave(self, name: str, part: Part) -> None:
        """Has a name stand for a part no more."""
        self.names[name].discard(part.host.ip)
        self._renew()

    async def close(self) -> None:
        """Ends both."""
        for process in (self._balancer, self._dns):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()

    def _renew(self) -> None:
        self._write()
        if self._dns is None or self._dns.returncode is not None:
            raise RuntimeError("the name server is not there")
        self._dns.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        lines = [f"{ip} {name}\n" for name, known in self.names.items() for ip in sorted(known)]
        (self.folder / "hosts").write_text("".join(lines))
        servers = " ".join(f"server {ip}:{PORT} fail_timeout=1s;" for ip in self.gateways)
        settings = _BALANCER.format(folder=self.folder, servers=servers, router=ROUTER, port=PORT, tries=TRIES)
        (self.folder / "nginx.conf").write_text(settings)


@asynccontextmanager
async def services(folder: Path) -> AsyncIterator[Services]:
    """The name server, running; the balancer begins with the first gateways."""
    made = Services(folder)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def _listens() -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(ROUTER, PORT)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
