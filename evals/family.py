"""Every strategy at three budgets, with each reward that makes a difference and each vote that can be taken.

A budget is a number of answers. Samplers and populations write that many; trees get as many simulations as cost about
as much. Exact tokens are measured, and are what strategies should be compared by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evals.runs import Plan, fixed, run
from mcts.votes import VoteRule

BUDGETS = (8, 16, 64)
"""Answers that a search may write, or as many tokens' worth of them."""

JUDGED = (8, 16)
"""Budgets of searches that the judge scores: its verdicts are as long as the answers."""

SAMPLED: tuple[VoteRule, ...] = ("weighted", "majority", "max_value")
TREE: tuple[VoteRule, ...] = (*SAMPLED, "max_visits")

Size = Callable[[int], Mapping[str, Any]]


def _samples(answers: int) -> Mapping[str, Any]:
    return {"samples": answers}


def _beams(answers: int) -> Mapping[str, Any]:
    return {"beams": answers}


def _particles(answers: int) -> Mapping[str, Any]:
    return {"particles": answers}


def _first_tokens(answers: int) -> Mapping[str, Any]:
    return {"branch": min(answers, 20)}  # 20 is the most that engines rank


def _per_simulation(cost: int) -> Size:
    """As many simulations as give the answers when each writes ``cost`` of them, or as much text."""
    return lambda answers: {"budget": {"simulations": max(1, answers // cost)}}


def _committing(answers: int) -> Mapping[str, Any]:
    """A step is committed after each fourth of the simulations."""
    simulations = max(1, answers // 2)
    return {"budget": {"simulations": simulations}, "commit": max(1, simulations // 4)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One strategy with one reward.

    Args:
        strategy: What searches.
        size: The fields that give it a budget.
        reward: What scores; None where nothing does.
        votes: Votes to take; empty leaves the strategy's own alone.
        label: What tells it from other entries of the same strategy.
        search: Further fields.
        budgets: The budgets.
        preset: A preset that brings strategy and reward.
    """

    strategy: str
    size: Size
    reward: str | None = None
    votes: tuple[VoteRule, ...] = ()
    label: str = ""
    search: Mapping[str, Any] | None = None
    budgets: tuple[int, ...] = BUDGETS
    preset: str = ""

    def plans(self, model: str) -> list[Plan]:
        """One run per budget."""
        label = self.label or self.strategy
        return [
            fixed(
                run(
                    f"{label} {self.reward or ''} {budget}".replace("  ", " "),
                    model,
                    self.strategy,
                    reward=self.reward,
                    votes=self.votes,
                    label=label,
                    budget=budget,
                    preset=self.preset,
                    search={**(self.search or {}), **self.size(budget)},
                )
            )
            for budget in self.budgets
        ]


_STEPS = _per_simulation(2)  # four rollouts, of which kept ones and shared beginnings cost nothing
_ONE_STEP = _per_simulation(1)  # four single steps, or in marco-o1 little more: its trees are soon exhausted

ENTRIES = (
    Entry("majority", _samples),
    Entry("best_of_n", _samples, "prm", SAMPLED),
    Entry("best_of_n", _samples, "confidence", SAMPLED),
    Entry("best_of_n", _samples, "self_evaluation", SAMPLED),
    Entry("best_of_n", _samples, "judge", SAMPLED, budgets=JUDGED),
    Entry("weighted_best_of_n", _samples, "prm"),
    Entry("cot_decoding", _first_tokens, None, ("weighted", "max_value")),
    Entry("uct", _STEPS, "prm", TREE, "uct step"),
    Entry("uct", _STEPS, "confidence", TREE, "uct step"),
    Entry("uct", _STEPS, "self_evaluation", TREE, "uct step"),
    Entry("uct", _STEPS, "prm", TREE, "uct mini-step 32", {"step": {"tokens": 32}}),
    Entry("uct", _STEPS, "prm", TREE, "uct puct", {"selection": "puct"}),
    Entry("uct", _STEPS, "prm", TREE, "uct top_tokens", {"expansion": "top_tokens"}),
    Entry("uct", _committing, "prm", (), "uct commit"),
    Entry("uct", _ONE_STEP, "prm", TREE, "uct without rollouts", {"rollout": "none"}),
    Entry("marco-o1", _ONE_STEP, "confidence", TREE, preset="marco-o1"),
    Entry("beam", _beams, "prm", SAMPLED),
    Entry("beam", _beams, "confidence", SAMPLED),
    Entry("dvts", _beams, "prm", SAMPLED),
    Entry("rebase", _beams, "prm", SAMPLED),
    Entry("particle", _particles, "prm", SAMPLED),
    Entry("search-and-learn", _beams, "prm", SAMPLED),
    Entry("search-and-learn-dvts", _beams, "prm", SAMPLED),
    Entry("self_refine", _per_simulation(4), None, TREE),
    Entry("mctsr", _per_simulation(4), None, TREE),
    Entry("ab_mcts", _per_simulation(2), "prm", TREE),
)


def family_suite(model: str, _: int) -> list[Plan]:
    """Greedy decoding plain and with the chain-of-thought prompt, then every entry at its budgets."""
    return [
        fixed(run("greedy", model, "direct", temperature=0)),
        fixed(run("cot", model, "cot", temperature=0)),
        *(plan for entry in ENTRIES for plan in entry.plans(model)),
    ]
