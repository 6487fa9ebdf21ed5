"""What searches run on, and how it is obtained. Knows neither which engine it is nor who asks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from mcts.budget import Clock
from mcts.ports import Engine, Sampling, Tokenizer
from mcts.reward_ports import AnyReward
from reward.answers import StandardAnswers
from server.settings import Settings


async def _nothing() -> None:
    """Closes nothing."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """What searches run on.

    Args:
        engine: Generates text.
        tokenizer: The engine's tokenizer.
        answers: Reads and compares final answers. The runtime warms it up and closes it.
        rewards: Loaded rewards by name.
        sampling: How tokens are drawn where nobody says; the model's own recommendation.
        max_model_len: Most tokens of prompt and answer together.
        vocab_size: Token ids are below it.
        constrains: Whether the engine can be held to a form such as JSON.
        compiles: Whether it compiles a schema for that, which must be tried elsewhere first.
        close: Frees the engines.
        healthy: Whether the engines can still generate; costs nothing. Asked several times a second.
        revive: Starts anew what is not healthy, or raises ``StartupError``; None where nothing can be.
        registries: Gives those in which the engines keep metrics of their own.
        failovers: Calls that were made again on another engine, since the start.
        clock: Seconds, for deadlines.
        model_name: What clients call the model where the settings do not say; empty leaves it to them.
    """

    engine: Engine
    tokenizer: Tokenizer
    answers: StandardAnswers
    rewards: Mapping[str, AnyReward] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    max_model_len: int = 4096
    vocab_size: int = 2**31
    constrains: bool = False
    compiles: bool = False
    close: Callable[[], Awaitable[None]] = _nothing
    healthy: Callable[[], bool] = _always
    revive: Callable[[], Awaitable[None]] | None = None
    registries: Callable[[], tuple[CollectorRegistry, ...]] = tuple
    failovers: Callable[[], int] = int
    clock: Clock = time.monotonic
    model_name: str = ""


Report = Callable[[str], None]
"""Told what start-up does next, in a few words."""

Loader = Callable[[Settings, Report], Awaitable[Backend]]
"""Loads models and warms them up.

Raises:
    StartupError: They do not load; the message says why in one line.
"""
