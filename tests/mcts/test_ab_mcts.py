"""AB-MCTS-A: where it goes wider and where deeper, and what it keeps whatever happens."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, EspalierError, InvalidRequest, NoAnswerInTime, RewardCallFailed
from mcts.events import NodeAdded, SearchFinished
from mcts.ports import Message, Path, PathScore, Prompt
from mcts.strategies import STRATEGIES, AbMctsOptions
from mcts.strategies.ab_mcts import Branching, ab_mcts, choose
from mcts.strategies.answer_tree import Answer, AnswerTree
from mcts.strategies.thompson import PRIORS
from tests.mcts.dialogues import Dialogue, dialogue, kinds
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import search, step


@dataclass(frozen=True)
class Certain:
    """A belief that always draws its mean, so that choices can be worked out by hand."""

    scores: tuple[float, ...] = ()
    waiting: int = 0

    def after(self, scores):
        """Further scores."""
        return replace(self, scores=(*self.scores, *scores))

    def awaiting(self, calls):
        """Calls in flight, each of which takes a hundredth off so that they show."""
        return replace(self, waiting=calls)

    def draw(self, _):
        """The mean; 0.5 of nothing."""
        mean = sum(self.scores) / len(self.scores) if self.scores else 0.5
        return mean - self.waiting / 100


def scored_tree(*nodes):
    """A tree of (parent, score); None is an answer without a score."""
    tree = AnswerTree()
    for parent, score in nodes:
        with tree.claimed(tree.nodes[parent]) as name:
            answer = tree.add(tree.nodes[parent], name, Path(Prompt((1,)), (step(1),)))
        if score is not None:
            answer.rewards.append(score)
            for above in answer.above():
                above.below.append(score)
    return tree


def chosen(tree):
    """The number of the node that is chosen with certain beliefs."""
    return choose(tree.question, Certain(), np.random.default_rng(0)).number


def test_the_first_answer_is_a_fresh_one():
    """Nothing is below the question."""
    assert chosen(scored_tree()) == 0


def test_poor_fresh_answers_lead_deeper_and_good_ones_wider():
    """One answer of 0.4: GEN 0.4 against CONT, of which nothing is known, 0.5: deeper. One of 0.6: wider."""
    assert chosen(scored_tree((0, 0.4))) == 1
    assert chosen(scored_tree((0, 0.6))) == 0


def test_an_answers_own_score_speaks_for_gen_alone():
    """GEN (0.4 + 0.2) / 2 = 0.3; CONT rests on what was made of them: 0.9. Of the two, the second has led to 0.9."""
    assert chosen(scored_tree((0, 0.4), (0, 0.2), (2, 0.9))) == 2  # there GEN is 0.9 against CONT 0.5
    assert chosen(scored_tree((0, 0.4), (0, 0.2), (2, 0.1))) == 0  # CONT 0.1 below GEN 0.3


def test_a_good_descendant_is_felt_at_every_level():
    """1 → 2 → 3 of 0.9: the question sees CONT (0.3 + 0.9) / 2, answer 1 sees GEN 0.3 against CONT 0.9."""
    tree = scored_tree((0, 0.4), (1, 0.3), (2, 0.9))
    assert chosen(tree) == 2
    assert (tree.question.below, tree.nodes[1].below, tree.nodes[2].below) == ([0.4, 0.3, 0.9], [0.3, 0.9], [0.9])


def test_equal_draws_go_wider_and_to_the_first_child():
    """Ties are decided by order, not by chance."""
    assert chosen(scored_tree((0, 0.5))) == 0
    assert chosen(scored_tree((0, 0.4), (0, 0.4))) == 1


def test_answers_in_flight_send_others_elsewhere():
    """Two children of which nothing is known: the one that is being worked on draws 0.49, the other 0.5."""
    tree = scored_tree((0, 0.4), (0, 0.4))
    with tree.claimed(tree.nodes[1]):
        assert (tree.question.in_flight_within, tree.question.in_flight, tree.in_flight) == (1, 0, 1)
        assert chosen(tree) == 2
    assert tree.in_flight == 0


def test_answers_without_a_score_or_without_room_are_passed_over():
    """A blank answer leads nowhere; from one without room for another only what is below it does."""
    assert chosen(scored_tree((0, None))) == 0
    tree = scored_tree((0, 0.1), (0, 0.2))
    tree.nodes[1].closed = True
    assert chosen(tree) == 2
    tree.nodes[2].closed = True
    assert chosen(tree) == 0
    below = scored_tree((0, 0.1), (1, 0.9))
    below.nodes[1].closed = True
    assert chosen(below) == 2


SAYS = Dialogue(
    [("answer: 1", 0.6), ("I say answer: 2", 0.4)],
    {"answer: 1": [("answer: 2", 0.5), ("No. answer: 3", 0.5)], "I say answer: 2": [("answer: 1", 1.0)]},
)
WORTH = {"1": 0.25, "2": 0.5, "3": 1.0}


def grown(where=None, options=None, simulations=8, **fields):
    """A search of so many answers."""
    fields = {"budget": Budget(simulations=simulations)} | fields
    return search(ab_mcts, where or dialogue(SAYS, WORTH), options or AbMctsOptions(width=1), **fields)


def test_it_goes_wide_and_deep_and_finds_the_best():
    """Over seeds some answers are fresh and some are rewritings; the best score wins."""
    depths, best = set(), 0
    for seed in range(10):
        result = grown(simulations=16, seed=seed)
        depths.add(result.depth)
        best += result.winners[0].answer == "3"
        assert (len(result.candidates), result.nodes, result.simulations) == (16, 17, 16)
        assert result.winners[0].reward == max(candidate.reward for candidate in result.candidates)
    assert max(depths) > 1
    assert best >= 7


def test_poor_first_answers_make_deep_trees_and_good_ones_wide_trees():
    """Where rewriting helps, more is rewritten: the share of fresh answers falls."""

    def fresh(worth):
        shares = []
        for seed in range(10):
            where = dialogue(Dialogue([("answer: 1", 1.0)], {"answer: 1": [("answer: 2", 1.0)]}), worth)
            grown(where, simulations=16, seed=seed)
            shares.append(sum(event.parent == 0 for event in where.seen(NodeAdded)))
        return sum(shares)

    assert fresh({"1": 0.9, "2": 0.1}) > 1.5 * fresh({"1": 0.1, "2": 0.9})


@pytest.mark.parametrize("prior", list(PRIORS))
def test_the_same_seed_gives_the_same_tree_at_width_one(prior):
    """The draws come from the task's seed; timing has no part in them."""
    trees = []
    for chance in (random.Random(1), random.Random(2)):
        where = dialogue(SAYS, WORTH, latency=lambda *_, chance=chance: chance.random())
        grown(where, AbMctsOptions(width=1, prior=prior), simulations=12, seed=4)
        trees.append(outline(replayed(where.events)))
    assert trees[0] == trees[1]
    assert trees[0] != outline(replayed(_other(prior).events))


def _other(prior):
    where = dialogue(SAYS, WORTH)
    grown(where, AbMctsOptions(width=1, prior=prior), simulations=12, seed=5)
    return where


def test_a_fresh_answer_is_one_call_and_a_rewriting_two():
    """The judge is the reward: nothing is graded by the model itself."""
    where = dialogue(SAYS, WORTH)
    result = grown(where)
    asked = kinds(where)
    assert set(asked) == {"answer", "critique", "rewrite"}
    assert asked.count("critique") == asked.count("rewrite") == 8 - asked.count("answer")
    assert result.reward_calls == 8


def test_answers_are_written_side_by_side_without_waiting():
    """Eight answers, four at a time, a second per call: as the calls of one worker do not wait for those of another."""
    where = dialogue(SAYS, WORTH, latency=lambda *_: 1.0)
    result = grown(where, AbMctsOptions(width=4))
    assert 2 <= result.seconds <= 4
    assert [event.parent for event in where.seen(NodeAdded)][:5] == [None, 0, 0, 0, 0]


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_answer_is_not_scored(blank):
    """Nothing to score, nothing to go on from; alone it is given as it is, without a reward."""
    where = dialogue(Dialogue([(blank, 1.0)]), {})
    result = grown(where, simulations=3)
    assert (result.reward_calls, result.winners[0].reward, result.simulations) == (0, None, 3)
    assert kinds(where) == ["answer"] * 3
    rewritten = grown(dialogue(Dialogue([("answer: 1", 1.0)], {"answer: 1": [(blank, 1.0)]}), {"1": 0.1}))
    assert {candidate.answer for candidate in rewritten.candidates} == {"1"}


def test_a_context_too_small_for_rewriting_leaves_fresh_answers():
    """No call is made that the model cannot read."""
    where = dialogue(SAYS, WORTH)
    result = grown(where, max_tokens=20, context=40)
    assert set(kinds(where)) == {"answer"}
    assert result.depth == 1
    assert all(len(request.prefix) + request.max_tokens <= 40 for request in where.engine.requests)


def test_an_answer_without_room_for_another_is_tried_once():
    """Each answer can cost one vain simulation at most: of 20 at least 10 write an answer."""
    for seed in range(5):
        result = grown(dialogue(SAYS), simulations=20, seed=seed, max_tokens=20, context=40)
        assert len(result.candidates) >= 10


@pytest.mark.parametrize("question", ["三加四等于几？", "🤔?", "Write a poem.", "def f(): pass"])
def test_any_prompt_will_do(question):
    """Free texts have no answer to vote on: the best-scored one wins."""
    where = dialogue(Dialogue([("秋天🍂", 1.0)], {"秋天🍂": [("更好🍁", 1.0)]}))
    where.messages = (Message("user", question),)
    where.reward.worth = lambda path: 0.8 if "🍁" in path.text else 0.1
    result = grown(where, simulations=12)
    assert (result.winners[0].path.text, result.winners[0].answer) == ("更好🍁", None)


def test_a_deadline_or_token_limit_gives_the_best_so_far():
    """What is scored counts; what is being written is cancelled."""
    result = grown(dialogue(SAYS, WORTH, latency=lambda *_: 1.0), budget=Budget(seconds=1.5))
    assert (len(result.candidates), result.stop_reason) == (1, StopReason.DEADLINE)
    short = grown(budget=Budget(tokens=60), max_tokens=20)
    assert short.generated_tokens <= 60
    assert short.stop_reason is StopReason.TOKENS
    with pytest.raises(NoAnswerInTime):
        grown(dialogue(SAYS, WORTH, latency=lambda *_: 1.0), budget=Budget(seconds=0.5))


@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
def test_a_failing_engine_leaves_the_best_so_far(error):
    """With a candidate it is given; without one the error is raised."""
    where = dialogue(SAYS, WORTH, failure=lambda _, number: error if number else None)
    assert grown(where).stop_reason is StopReason.FAILED
    with pytest.raises(type(error)):
        grown(dialogue(SAYS, WORTH, failure=lambda *_: error))


def test_a_failing_reward_is_never_replaced_by_a_neutral_score():
    """An answer that could not be scored for a fault of the machine is no candidate."""
    where = dialogue(SAYS, WORTH)
    where.reward.failure = lambda _: RewardCallFailed("no")
    with pytest.raises(RewardCallFailed):
        grown(where)


def test_a_reward_and_a_chat_are_needed():
    """Nothing is put in a missing reward's place, and a raw text has no turns."""
    where = dialogue(SAYS)
    where.reward = None
    with pytest.raises(InvalidRequest) as refused:
        grown(where)
    assert refused.value.param == "search.reward"
    raw = dialogue(SAYS, WORTH)

    async def main():
        task = raw.task()
        return await ab_mcts(replace(task, prompt=replace(task.prompt, messages=())), raw.ports(), AbMctsOptions())

    with pytest.raises(InvalidRequest):
        run_virtually(main)


def test_only_answers_have_scores():
    """The question has none."""
    question = Answer(0, None, "", None, 0)
    with pytest.raises(ValueError, match="question"):
        Branching(None, None, None, AbMctsOptions(), np.random.default_rng()).record(question, PathScore(1.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("prior", "cauchy"),
        ("critique_tokens", 0),
        ("critique_request", " "),
        ("rewrite_request", ""),
        ("vote", "loudest"),
    ],
)
def test_senseless_options_are_refused_by_name(field, value):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        AbMctsOptions(**{field: value})
    assert refused.value.param == f"search.{field}"


def test_its_tokens_are_bounded():
    """Three critiques of 50 and three answers of 100 tokens."""
    assert AbMctsOptions(critique_tokens=50).most_tokens(simulations=3, max_tokens=100) == 450
    assert STRATEGIES["ab_mcts"].defaults == AbMctsOptions(prior="gaussian", vote="max_value")


RESTLESS = replace(
    SAYS, first=[*SAYS.first[:1], ("I say answer: 2", 0.3), ("", 0.1)], critique=[("Weak.", 0.8), ("", 0.2)]
)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(AbMctsOptions, width=st.integers(1, 6), prior=st.sampled_from(list(PRIORS))),
    st.builds(
        Budget,
        simulations=st.integers(1, 16),
        tokens=st.sampled_from([None, 1, 30, 300]),
        seconds=st.sampled_from([None, 0.5, 5.0]),
    ),
    st.integers(0, 2**32),
    st.sampled_from([0, 0, 0.1, 0.5]),
    st.one_of(st.none(), st.floats(0, 12)),
)
def test_whatever_happens_nothing_is_left_behind(options, budget, seed, failing, moment):
    """Any order of replies, any failures, any limits, cancelled or not: no call open, no limit exceeded."""
    chance = random.Random(seed)
    errors = [EngineCallFailed("no"), EngineCallFailed("no"), EngineDead("gone")]
    where = dialogue(
        RESTLESS,
        WORTH,
        latency=lambda *_: chance.choice([0.0, 0.1, 1.0, chance.random()]),
        failure=lambda *_: chance.choice(errors) if chance.random() < failing else None,
    )
    where.reward.latency = lambda _: chance.choice([0.0, 0.2])
    where.reward.failure = lambda _: RewardCallFailed("no") if chance.random() < failing / 3 else None

    async def main():
        task = asyncio.create_task(ab_mcts(where.task(budget, max_tokens=20, context=300), where.ports(), options))
        await asyncio.wait([task], timeout=moment)
        task.cancel()
        with suppress(asyncio.CancelledError, EspalierError):
            result = await task
            assert result.simulations <= budget.simulations
            assert budget.seconds is None or result.seconds <= budget.seconds + 1e-6
            assert result.generated_tokens == where.engine.generated_tokens
            assert result.winners[0] in result.candidates
            assert len({candidate.reward is None for candidate in result.candidates}) == 1

    run_virtually(main)
    assert (where.engine.open_calls, where.reward.open_calls) == (0, 0)
    assert budget.tokens is None or where.engine.generated_tokens <= budget.tokens
    assert all(len(request.prefix) + request.max_tokens <= 300 for request in where.engine.requests)
    assert [type(event) for event in where.events][-1:] in ([SearchFinished], [])
