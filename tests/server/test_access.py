"""Keys: who is let in, decided on the routed path alone."""

from __future__ import annotations

import pytest

from tests.server.service import CHATS, serving

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
