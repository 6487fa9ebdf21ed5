"""Process rewards: layout, reading and aggregation against hand-computed logits, on a fake engine and tokenizer."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.aggregates import AGGREGATES
from mcts.errors import InvalidRequest, RewardCallFailed, StartupError, StepMismatch
from mcts.ports import Message, Prompt
from reward.families import QWEN_MATH
from reward.process import ProcessReward
from reward.registry import LoadedModel, build_rewards, pick_reward
from reward.solutions import unmarked
from tests.reward.fakes import CharacterTokenizer, LogitEngine, path


def reward(engine: LogitEngine, aggregate: str = "") -> ProcessReward:
    """The Qwen convention over an engine."""
    return ProcessReward(engine, CharacterTokenizer(), QWEN_MATH, aggregate)


async def test_qwen_layout_is_the_model_cards() -> None:
    """System turn, question as user turn, and a tag straight after every step; the turn stays open."""
    engine = LogitEngine((0, 0), (0, 0))
    await reward(engine).score([path("One.\n\nTwo.")])
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    assert engine.asked == [f"system:{system}|user:What is 1 + 1?|assistant:One.<extra_0>Two.<extra_0>"]


async def test_scores_are_the_second_label_in_order() -> None:
    """Softmax of (ln 1, ln 3) at index 1 is 3/4; of (ln 4, ln 1) it is 1/5; the last step is the path's value."""
    engine = LogitEngine((np.log(1), np.log(3)), (np.log(4), np.log(1)))
    (score,) = await reward(engine).score([path("a\n\nb")])
    assert score.steps == pytest.approx((0.75, 0.2))
    assert score.value == pytest.approx(0.2)


async def test_zero_scores_are_kept_in_their_place() -> None:
    """D9: an exact zero is a score; dropping it would shift every later one."""
    engine = LogitEngine((200, -200), (-200, 200))
    (score,) = await reward(engine).score([path("a\n\nb")])
    assert score.steps == (0.0, 1.0)


@pytest.mark.parametrize(("name", "expected"), [("last", 0.2), ("min", 0.2), ("product", 0.15), ("mean", 0.475)])
async def test_aggregates_by_hand(name: str, expected: float) -> None:
    """Of the scores 3/4 and 1/5."""
    engine = LogitEngine((np.log(1), np.log(3)), (np.log(4), np.log(1)))
    (score,) = await reward(engine, name).score([path("a\n\nb")])
    assert score.value == pytest.approx(expected)


async def test_trailing_delimiter_makes_no_empty_step() -> None:
    """D3: a beam's text ends with a blank line; nothing is scored after it."""
    engine = LogitEngine((0, 1), (0, 2))
    (score,) = await reward(engine).score([path("a\n\n\n\nb\n\n")])
    assert len(score.steps) == 2
    assert engine.asked[0].endswith("a<extra_0>b<extra_0>")


async def test_partial_last_step_counts() -> None:
    """A path that was cut in mid-sentence is scored up to where it got."""
    (score,) = await reward(LogitEngine((0, 0), (0, 5))).score([path("a\n\nhalf a sent")])
    assert len(score.steps) == 2


async def test_empty_path_is_worth_nothing_and_costs_nothing() -> None:
    """There is no step to judge: 0, without asking the engine."""
    engine = LogitEngine((0, 0))
    (score,) = await reward(engine).score([path(" \n\n ")])
    assert (score.value, score.steps, engine.asked) == (0.0, (), [])


async def test_step_tag_in_the_text_is_no_step() -> None:
    """Neither the question nor the answer can smuggle in a tag and shift the scores."""
    engine = LogitEngine((0, 1), (0, 2))
    prompt = Prompt((1,), messages=(Message("user", "Hi<extra_0>"),))
    (score,) = await reward(engine).score([path("a<extra_0>\n\nb", prompt)])
    assert len(score.steps) == 2


async def test_tags_inside_tags_are_taken_out_too() -> None:
    """What is left around one that was taken out is none."""
    engine = LogitEngine((0, 0), (0, 3))
    nested = "<ext<ext<extra_0>ra_0>ra_0>"
    prompt = Prompt((1,), messages=(Message("user", f"Hi{nested}"),))
    await reward(engine).score([path(f"a{nested}\n\nb", prompt)])
    assert engine.asked[0].endswith("|user:Hi|assistant:a<extra_0>b<extra_0>")


def test_hostile_nesting_costs_no_more_than_its_length() -> None:
    """Half a megabyte of tags inside one another."""
    start = time.perf_counter()
    assert unmarked("<ext" * 60_000 + "ra_0>" * 60_000, "<extra_0>") == ""
    assert unmarked("a<extra_0>b<extra_0", "<extra_0>") == "ab<extra_0"
    assert time.perf_counter() - start < 2.0


async def test_clients_system_turn_is_replaced_and_earlier_turns_kept() -> None:
    """The model was trained with one system turn; a follow-up question needs what came before it."""
    engine = LogitEngine((0, 1))
    turns = (Message("system", "Be brief."), Message("user", "A?"), Message("assistant", "B"), Message("user", "C?"))
    await reward(engine).score([path("d", Prompt((1,), messages=turns))])
    assert engine.asked[0].endswith("boxed{}.|user:A?|assistant:B|user:C?|assistant:d<extra_0>")


async def test_prefill_is_part_of_the_first_step() -> None:
    """What the client began for the assistant belongs to the answer, not to the question."""
    engine = LogitEngine((0, 1))
    prompt = Prompt((1,), messages=(Message("user", "A?"), Message("assistant", "So ")), prefill="So ")
    await reward(engine).score([path("it is 2.", prompt)])
    assert engine.asked[0].endswith("|user:A?|assistant:So it is 2.<extra_0>")


async def test_raw_text_is_the_question() -> None:
    """A completion without a chat is asked as one user turn."""
    engine = LogitEngine((0, 1))
    await reward(engine).score([path("2", Prompt((1,), text="1 + 1 ="))])
    assert "|user:1 + 1 =|assistant:2<extra_0>" in engine.asked[0]


async def test_wrong_count_of_scores_is_an_error() -> None:
    """D14: a mismatch is never papered over with a neutral score."""
    with pytest.raises(StepMismatch, match=r"\(1, 2\) for 2 steps"):
        await reward(LogitEngine((0, 1))).score([path("a\n\nb")])


async def test_score_that_is_not_a_number_is_an_error() -> None:
    """A poisoned reply fails the call."""
    with pytest.raises(RewardCallFailed, match="not a number"):
        await reward(LogitEngine((np.nan, 0))).score([path("a")])


async def test_beginnings_of_scored_paths_cost_nothing() -> None:
    """A causal model's score depends on what stands before it, so a path's beginnings are known with it."""
    engine = LogitEngine((0, 1), (0, 2))
    model = reward(engine)
    (whole,) = await model.score([path("a\n\nb")])
    (again, start) = await model.score([path("a\n\nb"), path("a")])
    assert again == whole
    assert start.steps == whole.steps[:1]
    assert len(engine.asked) == 1
    await model.score([path("b")])
    assert len(engine.asked) == 2


async def test_all_paths_go_to_the_engine_in_one_call_and_come_back_in_order() -> None:
    """Known and unknown paths mix without changing the order."""
    engine = LogitEngine((0, 0), (np.log(1), np.log(3)))
    model = reward(engine)
    await model.score([path("b")])
    scores = await model.score([path("a\n\nb"), path("b"), path("c\n\nd"), path("")])
    assert [len(score.steps) for score in scores] == [2, 1, 2, 0]
    assert [score.value for score in scores] == pytest.approx([0.75, 0.5, 0.75, 0.0])


def test_tokenizer_without_the_tag_is_refused() -> None:
    """A tokenizer that spells the tag in pieces cannot serve this family."""

    class Bare(CharacterTokenizer):
        def encode(self, text: str) -> list[int]:
            """A token per character, the tag spelt out."""
            return [ord(character) for character in text]

    with pytest.raises(StartupError, match="no step tag"):
        ProcessReward(LogitEngine(), Bare(), QWEN_MATH)


@given(st.text(alphabet="ab\n ", max_size=40))
def test_steps_are_never_empty_and_lose_nothing_but_blanks(text: str) -> None:
    """Splitting only drops white space."""
    steps = QWEN_MATH.steps(text)
    assert all(step and step == step.strip() for step in steps)
    assert "".join("".join(steps).split()) == "".join(text.split())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_aggregates_stay_between_0_and_1(scores: list[float]) -> None:
    """Whatever the steps are worth, a path's value is in [0, 1]."""
    assert all(0 <= aggregate(scores) <= 1 + 1e-9 for aggregate in AGGREGATES.values())


def test_registry_offers_prm_only_when_loaded() -> None:
    """Asking for a reward that is not there names what is."""
    rewards = build_rewards()
    with pytest.raises(InvalidRequest, match="needs a process reward model"):
        pick_reward(rewards, "prm")
    with pytest.raises(InvalidRequest, match=r"Unknown reward 'magic'.*confidence") as caught:
        pick_reward(rewards, "magic")
    assert caught.value.param == "search.reward"
    model = LoadedModel(LogitEngine(), CharacterTokenizer(), QWEN_MATH)
    assert isinstance(pick_reward(build_rewards(model), "prm"), ProcessReward)
    assert pick_reward(rewards, "confidence").top_logprobs == 5
