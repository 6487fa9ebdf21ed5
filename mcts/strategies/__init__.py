"""Every way to search, by name. A strategy is one function; a new one is one more file and one more entry."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcts.strategies.ab_mcts import AbMctsOptions, ab_mcts
from mcts.strategies.beam import SEARCH_AND_LEARN, SEARCH_AND_LEARN_DVTS, BeamOptions, beam
from mcts.strategies.cot import CotOptions, cot
from mcts.strategies.cot_decoding import CotDecodingOptions, cot_decoding
from mcts.strategies.direct import DirectOptions, direct
from mcts.strategies.dvts import DvtsOptions, dvts
from mcts.strategies.growth import Reflection, UctOptions
from mcts.strategies.marco_o1 import MARCO_O1, marco_o1
from mcts.strategies.particle import ParticleOptions, particle
from mcts.strategies.rebase import RebaseOptions, rebase
from mcts.strategies.sampling import SamplingOptions, sample_and_vote
from mcts.strategies.self_refine import MCTSR, SelfRefineOptions, self_refine
from mcts.strategies.uct import uct
from mcts.strategy import Strategy

__all__ = [
    "STRATEGIES",
    "AbMctsOptions",
    "BeamOptions",
    "CotDecodingOptions",
    "CotOptions",
    "DirectOptions",
    "DvtsOptions",
    "ParticleOptions",
    "RebaseOptions",
    "Reflection",
    "SamplingOptions",
    "SelfRefineOptions",
    "StrategySpec",
    "UctOptions",
]


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """One entry of the registry.

    Args:
        run: The strategy.
        defaults: Its options where the client gives none; their type is the type of its options.
        needs_reward: Whether the options' default vote needs a reward. Without need the reward port is left alone.
        summary: One line for lists.
    """

    run: Strategy
    defaults: Any
    needs_reward: bool
    summary: str


def _sampler(name: str) -> Strategy:
    return functools.partial(sample_and_vote, name=name)


STRATEGIES: Mapping[str, StrategySpec] = {
    "direct": StrategySpec(direct, DirectOptions(), False, "plain decoding"),
    "cot": StrategySpec(cot, CotOptions(), False, "plain decoding, asked to reason step by step"),
    "majority": StrategySpec(
        _sampler("majority"), SamplingOptions(adaptive=True), False, "samples; the commonest answer wins"
    ),
    "best_of_n": StrategySpec(
        _sampler("best_of_n"),
        SamplingOptions(vote="max_value", scored=True),
        True,
        "samples; the best-rewarded one wins",
    ),
    "weighted_best_of_n": StrategySpec(
        _sampler("weighted_best_of_n"),
        SamplingOptions(vote="weighted"),
        True,
        "samples; the largest sum of rewards wins",
    ),
    "cot_decoding": StrategySpec(
        cot_decoding, CotDecodingOptions(), False, "one path from each likely first token; the surest answer wins"
    ),
    "uct": StrategySpec(uct, UctOptions(), True, "a tree of steps, grown where rewards are high"),
    "marco-o1": StrategySpec(marco_o1, MARCO_O1, True, "Marco-o1's search, as published"),
    "self_refine": StrategySpec(
        self_refine, SelfRefineOptions(), False, "a tree of answers that the model criticises, rewrites and grades"
    ),
    "mctsr": StrategySpec(functools.partial(self_refine, name="mctsr"), MCTSR, False, "MCTSr's search, as published"),
    "ab_mcts": StrategySpec(
        ab_mcts, AbMctsOptions(), True, "a tree of answers, wider or deeper by Thompson sampling over rewards"
    ),
    "beam": StrategySpec(beam, BeamOptions(), True, "paths side by side; the best go on after every step"),
    "dvts": StrategySpec(dvts, DvtsOptions(), True, "independent subtrees, each follows its best step"),
    "rebase": StrategySpec(rebase, RebaseOptions(), True, "paths side by side; the better, the more continuations"),
    "particle": StrategySpec(particle, ParticleOptions(), True, "paths side by side, resampled by reward"),
    "search-and-learn": StrategySpec(
        functools.partial(beam, name="search-and-learn"),
        SEARCH_AND_LEARN,
        True,
        "search-and-learn's beam search, as published",
    ),
    "search-and-learn-dvts": StrategySpec(
        functools.partial(dvts, name="search-and-learn-dvts"),
        SEARCH_AND_LEARN_DVTS,
        True,
        "search-and-learn's diverse verifier tree search, as published",
    ),
}
