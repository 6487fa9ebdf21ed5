"""Marco-o1's search (Zhao et al., 2411.14405v2) as a reference: textbook UCT over token confidence, un-normalised.

The paper gives the nodes (steps, or mini-steps of 64 or 32 tokens), the value of a rollout (the mean over its tokens of
each token's share among the five likeliest; that is the reward's business, not this file's) and the reflection phrase.
It does not give the selection formula, its constant, the number of children, the temperature, a depth limit, how the
answer is picked or what a search costs. What stands here for those is marked as the released code's or as our choice.
"""

from __future__ import annotations

from mcts.ports import Sampling
from mcts.result import SearchResult, Task
from mcts.strategies.growth import Reflection, UctOptions
from mcts.strategies.uct import uct
from mcts.strategy import Ports

REFLECTION_TEXT = "Wait! Maybe I made some mistakes! I need to rethink from scratch."  # paper, section 4
MINI_STEPS = (64, 32)  # paper, section 3.2: tokens of a mini-step

EXPLORATION = 2.0
"""Effective constant of the released code (mcts_engine.py): Q + 1.414 · sqrt(2 · ln(N_p) / N)."""

SAMPLING = Sampling(temperature=0.7, top_p=0.9)
"""Of the released code; the paper names none."""

MARCO_O1 = UctOptions(
    width=1,  # our choice: the published search is sequential
    branch=4,  # our choice
    max_depth=32,  # our choice: the released code has no depth limit
    exploration=EXPLORATION,
    normalize=False,
    selection="ucb1",
    joint=False,
    widening=0,
    vote="max_value",  # our choice: the released code stops at a known answer
)
"""The reference preset, still without its reflection: the phrase must first be written in the model's tokens."""


def reflection(token_ids: tuple[int, ...]) -> Reflection:
    """The paper's reflection, given the phrase in the model's tokens."""
    return Reflection(REFLECTION_TEXT, token_ids)


async def marco_o1(task: Task, ports: Ports, options: UctOptions) -> SearchResult:
    """``uct`` under the reference's name."""
    return await uct(task, ports, options, "marco-o1")
