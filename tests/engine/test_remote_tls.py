"""Engines behind TLS: whose certificates are believed, for which names, and what an operator reads otherwise."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from engine.remote.fleet import ENGINES, Fleet
from engine.remote.probes import GenerationProbe
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer
from mcts.errors import StartupError
from tests.engine.fake_vllm import ANSWER, FakeVllm, fakes
from tests.engine.remote_fleet import answered, ask, engine, until

TLS = Path(__file__).parent / "golden" / "tls"
AUTHORITY = str(TLS / "authority.pem")


def _server(tokenizer: HFTokenizer) -> FakeVllm:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "engine.pem")
    return FakeVllm(tokenizer, tls=context)


async def test_an_authority_of_ones_own_is_trusted_once_it_is_named(tokenizer: HFTokenizer) -> None:
    """Two engines with certificates of a cluster's own authority write and are checked as others are."""
    servers = _server(tokenizer), _server(tokenizer)
    async with fakes(*servers), engine(tokenizer, *servers, ca_file=AUTHORITY) as remote:
        assert all(name.startswith("https://") for name in remote.fleet.members)
        assert await answered(remote, ask(tokenizer)) == ANSWER


async def test_a_stranger_is_not_believed(tokenizer: HFTokenizer) -> None:
    """Without the file the engine stays out, and the start says why."""
    server = _server(tokenizer)
    async with fakes(server):
        with pytest.raises(StartupError, match="CERTIFICATE_VERIFY_FAILED"):
            async with engine(tokenizer, server, start_seconds=2):
                pass
    assert server.calls == []


@pytest.mark.parametrize(("name", "believed"), [("engines.test", True), ("others.test", False)])
async def test_behind_a_name_the_certificate_is_the_names(tokenizer: HFTokenizer, name: str, believed: bool) -> None:
    """Addresses come from the DNS; what the certificate must be for is the name that was looked up."""
    server = _server(tokenizer)
    address = f"dns+https://{name}:{server.port}"
    settings = FleetSettings((address,), ca_file=AUTHORITY, check_seconds=0.05, start_seconds=5 if believed else 2)

    async def resolver(host: str, port: int) -> set[str]:
        return {"127.0.0.1"}

    fleet = Fleet(settings, GenerationProbe(settings, tokenizer), ENGINES, Wire(settings), resolver)
    async with fakes(server):
        try:
            if believed:
                await fleet.start()
                await until(lambda: fleet.healthy)
            else:
                with pytest.raises(StartupError, match="CERTIFICATE_VERIFY_FAILED"):
                    await fleet.start()
        finally:
            await fleet.close()


@pytest.mark.parametrize("file", ["/no/such/file.pem", __file__])
def test_a_file_without_certificates_is_told(file: str) -> None:
    """By the setting's name."""
    with pytest.raises(StartupError, match=f"engine_ca_file: '{file}' holds no certificates"):
        Wire(FleetSettings(("https://127.0.0.1:1",), ca_file=file))
