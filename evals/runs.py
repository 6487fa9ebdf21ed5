"""What is measured: one configuration of a search, the votes to take over it, and how plans come to it.

Knows neither servers nor replies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcts.votes import VoteRule


@dataclass(frozen=True, slots=True)
class Run:
    """One configuration to measure.

    Args:
        name: Unlike any other of its suite.
        body: Fields of the chat request besides the question (model, temperature, ``search`` …).
        strategy: What the reply must say has searched.
        reward: What the reply must say has scored; None where the strategy scores nothing.
        votes: Votes to take over the answers found, the search's own among them; empty leaves the search's own alone.
        label: What tables and plots call the strategy; its variants differ in it.
        budget: Answers that the search may write, or as many tokens' worth of them; 0 where it has no such number.
    """

    name: str
    body: Mapping[str, Any]
    strategy: str
    reward: str | None = None
    votes: tuple[VoteRule, ...] = ()
    label: str = ""
    budget: int = 0


Spent = Mapping[str, float]
"""Mean generated tokens per question of each run done so far, by the run's name."""

Plan = Callable[[Spent], Run]
"""Makes a run once the runs before it are known."""


def run(
    name: str,
    model: str,
    strategy: str,
    *,
    reward: str | None = None,
    votes: tuple[VoteRule, ...] = (),
    label: str = "",
    budget: int = 0,
    preset: str = "",
    temperature: float | None = None,
    search: Mapping[str, Any] | None = None,
) -> Run:
    """A run whose request says what is given here.

    Args:
        name: The run's name.
        model: The served model.
        strategy: The strategy; named in the request unless a preset brings it.
        reward: The reward, if any; named likewise.
        votes: See ``Run``.
        label: See ``Run``; the strategy's name unless given.
        budget: See ``Run``.
        preset: A preset that brings strategy and reward.
        temperature: The request's; None leaves it to the server.
        search: Further fields of the ``search`` object.
    """
    named: dict[str, Any] = {} if preset else {"strategy": strategy, **({"reward": reward} if reward else {})}
    asked = named | dict(search or {}) | ({"candidates": True} if votes else {})
    body: dict[str, Any] = {"model": f"{model}:{preset}" if preset else model}
    if temperature is not None:
        body["temperature"] = temperature
    if asked:
        body["search"] = asked
    return Run(name, body, strategy, reward, votes, label or strategy, budget)


def fixed(given: Run) -> Plan:
    """A plan that hangs on no other run."""
    return lambda _: given
