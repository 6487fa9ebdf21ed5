"""Where servers are: addresses as settings write them, and names that are watched."""

from __future__ import annotations

import asyncio

import pytest

from engine.remote.addresses import Endpoint, endpoints, read_address
from engine.remote.fleet import ENGINES, Fleet
from engine.remote.generation import RemoteEngine
from engine.remote.probes import GenerationProbe
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer
from mcts.errors import StartupError
from tests.engine.fake_vllm import ANSWER, FakeVllm, fakes
from tests.engine.remote_fleet import EOS, answered, ask, until


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("http://10.0.0.7:8000/v1/", "http://10.0.0.7:8000"),
        ("http://gpu-1", "http://gpu-1:80"),
        ("https://engines.example.org/vllm/v1", "https://engines.example.org:443/vllm"),
        ("http://[fd00::7]:8000", "http://[fd00::7]:8000"),
    ],
)
def test_an_address_is_read(text: str, url: str) -> None:
    """Ports are filled in; /v1, which every path begins with, is dropped."""
    address = read_address(text, "engine_url")
    assert not address.dynamic
    assert address.at(address.host) == Endpoint(url)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.7:8000", "no address such as http"),
        ("ftp://a:1", "no address such as http"),
        ("http://a:port", "no address such as http"),
        ("http://a:1?x=2", "no address such as http"),
        ("http://user:word@a:1", "no user and no password"),
        ("dns+http://10.0.0.7:8000", "names an IP address"),
    ],
)
def test_what_is_no_address_is_refused_by_its_setting(text: str, why: str) -> None:
    """The error names the setting; a password is not repeated."""
    with pytest.raises(StartupError, match=f"reward_url: .*{why}") as refused:
        read_address(text, "reward_url")
    assert "user:word" not in str(refused.value)


async def test_a_name_stands_for_all_of_its_addresses() -> None:
    """Each is a server of its own that is still called by the name."""

    async def resolver(host: str, port: int) -> set[str]:
        assert (host, port) == ("engines", 8000)
        return {"10.0.0.1", "fd00::2"}

    found = await endpoints(read_address("dns+https://engines:8000", "engine_url"), resolver)
    assert found == {
        Endpoint("https://10.0.0.1:8000", "engines:8000"),
        Endpoint("https://[fd00::2]:8000", "engines:8000"),
    }


class Names:
    """A resolver whose answer can be changed. All of 127/8 is this machine."""

    def __init__(self, *ips: str) -> None:
        self.ips: set[str] | None = set(ips)

    async def __call__(self, _host: str, _port: int) -> set[str]:
        """The addresses of the moment."""
        if self.ips is None:
            raise OSError("no such name")
        return self.ips


async def test_changes_of_a_name_are_followed(tokenizer: HFTokenizer) -> None:
    """New servers come in, old ones get no new calls but end those they have; an outage of the DNS changes nothing."""
    names, server = Names("127.0.0.1"), FakeVllm(tokenizer, token_seconds=0.05, listens=("127.0.0.1", "127.0.0.2"))
    settings = FleetSettings((f"dns+http://engines.test:{server.port}",), resolve_seconds=0.05, check_seconds=0.05)
    fleet = Fleet(settings, GenerationProbe(settings, tokenizer), ENGINES, Wire(settings), resolver=names)
    async with fakes(server):
        try:
            await fleet.start()
            remote = RemoteEngine(fleet, tokenizer, frozenset({EOS}), 4096)
            old, new = (f"http://127.0.0.{i}:{server.port}" for i in (1, 2))
            running = asyncio.create_task(answered(remote, ask(tokenizer)))
            await until(lambda: server.written > 0)
            names.ips = {"127.0.0.2"}
            await until(lambda: new in fleet.members and fleet.members[new].serves and not fleet.members[old].serves)
            assert await running == ANSWER
            await until(lambda: set(fleet.members) == {new})
            names.ips = None
            await asyncio.sleep(0.15)
            assert await answered(remote, ask(tokenizer)) == ANSWER
        finally:
            await fleet.close()
    assert set(server.hosts) == {f"engines.test:{server.port}"}
