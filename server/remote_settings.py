"""The settings of engines elsewhere: where they are, how they are asked, watched and chosen."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, model_validator

from server.setting_kinds import Names
from server.setting_kinds import setting as _field
from server.trace_settings import TraceSettings

REMOTE = "remote engines"


class RemoteSettings(TraceSettings):
    """What an operator can choose about engines elsewhere. Immutable."""

    engine_url: Names = _field(
        REMOTE,
        (),
        "Address of a vLLM server (or another OpenAI-compatible one) that generates, such as http://10.0.0.7:8000; "
        "dns+http://NAME:PORT is every address of a name, watched for changes. Repeatable, or with commas. "
        "None: vLLM in this process.",
        "URL",
    )
    reward_url: Names = _field(
        REMOTE,
        (),
        "Address of a vLLM server of the reward model, as engine_url. Repeatable, or with commas.",
        "URL",
    )
    engine_api_key: SecretStr = _field(REMOTE, SecretStr(""), "Key that is sent to the servers of engine_url.", "KEY")
    reward_api_key: SecretStr = _field(
        REMOTE, SecretStr(""), "Key that is sent to the servers of reward_url. Default: engine_api_key.", "KEY"
    )
    engine_ca_file: str = _field(
        REMOTE,
        "",
        "File with certificates (PEM) of authorities that are trusted for https engines, beside the usual ones: a "
        "cluster's own.",
        "PATH",
    )
    engine_model: str = _field(
        REMOTE, "", "Name of the model to ask the servers of engine_url for. Default: the first they list.", "NAME"
    )
    reward_engine_model: str = _field(
        REMOTE, "", "Name of the model to ask the servers of reward_url for. Default: the first they list.", "NAME"
    )
    tokenizer: str = _field(
        REMOTE,
        "",
        "Folder or Hugging Face name of the tokenizer of the model behind engine_url. "
        "Default: model, where it is set, else the path that the server names.",
        "PATH",
    )
    reward_tokenizer: str = _field(
        REMOTE,
        "",
        "Folder or Hugging Face name of the tokenizer of the model behind reward_url. "
        "Default: reward_model, where it is set, else the path that the server names.",
        "PATH",
    )
    engine_connect_seconds: float = _field(
        REMOTE, 5.0, "Longest wait for a connection to a remote engine.", "SECONDS", gt=0
    )
    engine_check_seconds: float = _field(
        REMOTE,
        1.0,
        "Pause between two health checks of a remote engine. Lower notices its end sooner.",
        "SECONDS",
        gt=0,
    )
    engine_check_timeout: float = _field(
        REMOTE,
        5.0,
        "Longest wait for a health check; a remote engine that misses two in a row is given up. Lower notices a "
        "network that is cut off sooner, higher bears busier machines.",
        "SECONDS",
        gt=0,
    )
    engine_resolve_seconds: float = _field(
        REMOTE, 5.0, "Pause between two looks at the names of dns+ addresses.", "SECONDS", gt=0
    )
    engine_patience_seconds: float = _field(
        REMOTE,
        10.0,
        "How long a call waits for a remote engine when none is left; then its search gives its best answer so far, or "
        "503. Higher outlives longer outages.",
        "SECONDS",
        ge=0,
    )
    engine_start_seconds: float = _field(
        REMOTE, 600.0, "How long the start waits for the first remote engine of each kind.", "SECONDS", gt=0
    )
    engine_load_factor: float = _field(
        REMOTE,
        1.25,
        "How far above the mean a remote engine's load may lie before searches spill over to others. Higher keeps "
        "trees together in one cache, lower spreads the load.",
        "FACTOR",
        ge=1,
    )
    engine_spill_from: int = _field(
        REMOTE,
        32,
        "Open continuations up to which no remote engine counts as hot. Higher keeps trees together longer.",
        "N",
        ge=0,
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.reward_url and not self.engine_url:
            raise ValueError("reward_url needs engine_url: a reward model elsewhere, and the model too")
        return self
