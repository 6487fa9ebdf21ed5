"""Keys: who is let in, decided on the routed path alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcts.errors import StartupError
from server.app import create_app
from tests.server.service import CHATS, serving, settings

KEYS = {"api_key": ["first", "second"]}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_health_is_open(path: str) -> None:
    """Probes carry no key."""
    async with serving(**KEYS) as service:
        assert (await service.client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/metrics", "/version", "/openapi.json", "/nothing", "//health", "/health/x", "/v1/../health"],
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "first"}, {"Authorization": "Basic first"},
     {"Authorization": "Bearer "}, {"Host": "x/health?"}, {"Host": "/health"}],
)  # fmt: skip
async def test_everything_else_needs_a_key(path: str, headers: dict[str, str]) -> None:
    """Whatever the Host header says, a wrong or missing key gives 401, unknown paths included."""
    async with serving(**KEYS) as service:
        reply = await service.client.get(path, headers=headers)
        if path == "/v1/../health":  # httpx resolves it to /health before sending
            return
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["first", "second"])
async def test_any_of_the_keys_opens(key: str) -> None:
    """Several keys are valid at once, so that they can be rotated."""
    async with serving(**KEYS) as service:
        headers = {"Authorization": f"bearer {key}"}
        body = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
        assert (await service.client.post(CHATS, json=body, headers=headers)).status_code == 200
        assert (await service.client.get("/v1/models", headers=headers)).status_code == 200


async def test_metrics_can_be_left_open() -> None:
    """A setting of its own leaves /metrics to a scraper without a key."""
    async with serving(**KEYS, open_metrics=True) as service:
        assert (await service.client.get("/metrics")).status_code == 200
        assert (await service.client.get("/v1/models")).status_code == 401


async def test_without_keys_everything_is_open() -> None:
    """The local default asks for nothing."""
    async with serving() as service:
        assert (await service.client.get("/v1/models")).status_code == 200


async def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    """One a line, comments and blank lines aside, beside those of the settings."""
    keys = tmp_path / "keys"
    keys.write_text("# team a\nalpha\n\n  beta  \n", encoding="utf-8")
    async with serving(api_key=["first"], api_key_file=str(keys)) as service:
        statuses = {
            key: (await service.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code
            for key in ("first", "alpha", "beta", "# team a", "", "gamma")
        }
    assert statuses == {"first": 200, "alpha": 200, "beta": 200, "# team a": 401, "": 401, "gamma": 401}


@pytest.mark.parametrize("content", [None, b"", b"# only a comment\n", b"\xff\xfe"])
def test_a_file_without_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    """A server that was meant to be closed never opens to all."""
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_bytes(content)
    with pytest.raises(StartupError, match="api_key_file"):
        create_app(settings(api_key_file=str(keys)))


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}


async def test_pages_of_other_origins_are_kept_out_unless_allowed() -> None:
    """No CORS header without the setting, and none for an origin that is not named."""
    async with serving() as service:
        reply = await service.client.get("/health", headers={"Origin": "https://a.example"})
        assert not [name for name in reply.headers if name.startswith("access-control")]
    async with serving(cors_origin=["https://a.example"]) as service:
        allowed = await service.client.get("/health", headers={"Origin": "https://a.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        assert "X-Request-Id" in allowed.headers["access-control-expose-headers"]
        other = await service.client.get("/health", headers={"Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_a_browser_may_ask_before_it_sends_its_key() -> None:
    """The preflight carries no key and is answered; the request itself needs one."""
    async with serving(**KEYS, cors_origin=["*"]) as service:
        origin = {"Origin": "https://a.example"}
        asked = await service.client.options(CHATS, headers={**origin, **PREFLIGHT})
        assert asked.status_code == 200
        assert "x-stainless-os" in asked.headers["access-control-allow-headers"]
        assert (await service.client.post(CHATS, json={}, headers=origin)).status_code == 401
