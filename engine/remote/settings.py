"""What an operator can choose about engines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How a fleet of servers is found, watched and asked.

    Args:
        addresses: Such as ``http://10.0.0.7:8000`` or ``dns+http://engines:8000``; at least one.
        setting: The setting that holds them, for messages.
        key_setting: The setting that holds the key, for messages.
        api_key: Sent as a bearer token; empty sends none.
        ca_file: File of certificates (PEM) of authorities that are trusted beside the usual ones; empty for none.
        model: The model to ask for; empty is the first that a server lists.
        connect_seconds: Longest wait for a connection.
        silence_seconds: Longest silence in a reply, from the request on, before the server is given up.
        check_seconds: Pause between two looks at a server's health.
        check_timeout: Longest wait for the answer to one. Two that miss it in a row are a lost server.
        resolve_seconds: Pause between two looks at names.
        load_factor: How far above the fleet's mean a server's load may lie before searches spill over to others, at
            least 1. Higher keeps trees together, lower spreads the load.
        spill_from: Open continuations below which no server counts as hot.
        patience_seconds: How long a call waits for a server when none is left.
        start_seconds: How long the start waits for the first server.
    """

    addresses: tuple[str, ...]
    setting: str = "engine_url"
    key_setting: str = "engine_api_key"
    api_key: str = field(default="", repr=False)
    ca_file: str = ""
    model: str = ""
    connect_seconds: float = 5.0
    silence_seconds: float = 120.0
    check_seconds: float = 1.0
    check_timeout: float = 5.0
    resolve_seconds: float = 5.0
    load_factor: float = 1.25
    spill_from: int = 32
    patience_seconds: float = 10.0
    start_seconds: float = 300.0
