"""Committing an answer step by step while the search goes on, against trees worked out by hand."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineDead, EspalierError, InvalidRequest
from mcts.events import AnswerFound, AnswerText, BackedUp, Committed, NodeAdded, SimulationDone
from mcts.ports import Sampling
from mcts.steps import StepRule
from mcts.strategies import Reflection, UctOptions
from mcts.strategies.uct import uct
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import answers, forest, garden, search, world, worth_of

FORK = {"": [("A\n\n", 0.7), ("B\n\n", 0.3)]} | answers(("A\n\n", "answer: 1"), ("B\n\n", "answer: 2"))
FORK_WORTH = worth_of({"1": 0.25, "2": 0.5})
BOTH = {"width": 1, "branch": 2, "expansion": "top_tokens", "widening": 0}


def told(where):
    """The pieces of text that were committed."""
    return [event.text for event in where.seen(AnswerText)]


def test_the_step_that_the_leading_answer_stands_behind_is_committed():
    """A is worth 0.6 alone; B and C give one answer, worth 0.4 + 0.5: it leads, and more of it stands behind C."""
    script = {"": [("A\n\n", 0.5), ("B\n\n", 0.3), ("C\n\n", 0.2)]}
    script |= answers(("A\n\n", "answer: 1"), ("B\n\n", "answer: 2"), ("C\n\n", "answer: 2"))
    where = world(script, lambda path: {"A": 0.6, "B": 0.4, "C": 0.5}[path.text[0]])
    result = search(uct, where, UctOptions(**BOTH | {"branch": 3}, commit=1), budget=Budget(simulations=1))
    assert told(where) == ["C\n\n"]
    assert result.winners[0].path.text == "C\n\nanswer: 2"


def test_without_answers_the_step_with_most_reward_behind_it_is_committed():
    """Free texts: two of B's three tenths each are more than A's five."""
    script = {
        "": [("A\n\n", 0.5), ("B\n\n", 0.5)],
        "A\n\n": [("x", 1.0)],
        "B\n\n": [("y", 0.5), ("z", 0.5)],
    }
    where = world(script, lambda path: 0.5 if path.text[0] == "A" else 0.3)
    search(uct, where, UctOptions(**BOTH, commit=3), budget=Budget(simulations=3))
    assert told(where)[0] == "B\n\n"


def test_each_block_commits_a_step_and_goes_on_below_it():
    """Blocks of one: the first simulation commits B (0.5), the second, which needs no new text, its answer.

    Without commitment the third simulation would have opened A.
    """
    where = world(FORK, FORK_WORTH)
    result = search(uct, where, UctOptions(**BOTH, commit=1))
    assert told(where) == ["B\n\n", "answer: 2"]
    assert outline(replayed(where.events)) == [". 2 0.75", " A 1 0.25", " B 1 0.5", "  answer: 2 1 0.5"]
    assert [(event.node, event.depth, event.visits, event.value) for event in where.seen(Committed)] == [
        (2, 1, 1, 0.5),
        (3, 2, 1, 0.5),
    ]
    assert (result.simulations, result.stop_reason) == (2, StopReason.EXHAUSTED)
    assert result.winners[0].path.text == "B\n\nanswer: 2"


def test_what_begins_otherwise_takes_no_part_in_the_vote():
    """Both answers are candidates; the tallies hold only the one that begins with B. Events tell the new leader."""
    where = world(FORK, FORK_WORTH)
    result = search(uct, where, UctOptions(**BOTH, commit=1, vote="majority"), n=2)
    assert [event.answer for event in where.seen(AnswerFound)] == ["1", "2"]
    assert [c.answer for c in result.candidates] == ["1", "2"]
    assert [(tally.answer, tally.count) for tally in result.tallies] == [("2", 1)]
    assert [winner.answer for winner in result.winners] == ["2"]
    assert [event.best_answer for event in where.seen(SimulationDone)] == ["2", "2"]


def test_the_statistics_of_the_subtree_are_kept():
    """The kept rollouts below the committed step count towards its branches: only the missing ones are drawn."""
    where = garden()
    search(uct, where, UctOptions(width=1, branch=4, commit=1), budget=Budget(simulations=2))
    first, second = where.engine.requests
    committed = where.seen(Committed)[0]
    assert (first.n, second.n) == (4, 4 - committed.visits)
    assert len(second.prefix) == len(first.prefix) + 1
    root = replayed(where.events)
    top = next(child for child in root["children"] if child["children"])
    assert top["visits"] == 4
    assert root["visits"] == 4 + second.n


def test_nothing_is_committed_before_an_answer_begins_with_it():
    """Single steps: after the first simulation B is best, but only the second finds its answer; then both follow."""
    where = world(FORK, lambda path: {"A": 0.25, "B": 0.75}[path.text[0]])
    search(uct, where, UctOptions(**BOTH, rollout="none", commit=1))
    kinds = [type(event) for event in where.events if isinstance(event, AnswerFound | Committed)]
    # 1: A and B are valued. 2: B's answer is found, and B is committed. Nothing but that answer is left below it.
    assert kinds == [AnswerFound, Committed]
    assert told(where) == ["B\n\n"]


def test_a_search_that_ends_before_a_block_commits_nothing():
    """The plain search, to the last visit."""
    plain, committing = forest(), forest()
    for where, options in ((plain, UctOptions(width=1)), (committing, UctOptions(width=1, commit=9))):
        search(uct, where, options, budget=Budget(simulations=8))
    assert told(committing) == []
    assert replayed(plain.events) == replayed(committing.events)


def test_the_search_stays_below_what_is_committed():
    """After each commitment of a sequential search every new node hangs below it."""
    where = forest()
    search(uct, where, UctOptions(width=1, branch=3, commit=4), budget=Budget(simulations=24))
    parents, top = {}, 0
    for event in where.events:
        if isinstance(event, Committed):
            assert parents[event.node] == top
            top = event.node
        elif isinstance(event, NodeAdded):
            parents[event.node] = event.parent
            assert top in _lineage(parents, event.node)
    assert len(where.seen(Committed)) >= 4


def test_a_simulation_below_another_step_ends_and_counts_in_no_block():
    """Two at once: one works below another step for a long time while the other's blocks commit step after step.

    It then ends on its own: its visits are in the tree, its tokens counted, and no call was cancelled.
    """
    where = forest(latency=lambda _, number: 50.0 if number == 2 else 1.0)
    result = search(uct, where, UctOptions(width=2, branch=3, commit=3), budget=Budget(simulations=12))
    parents = {event.node: event.parent for event in where.seen(NodeAdded)}
    (slow,) = {event.seconds for event in where.seen(BackedUp) if event.seconds > 50}
    late = [_lineage(parents, event.node) for event in where.seen(BackedUp) if event.seconds == slow]
    first = where.seen(Committed)[0]
    assert first.seconds < slow
    assert late
    assert all(first.node not in lineage for lineage in late)
    assert len(where.seen(Committed)) == 3  # eleven simulations in blocks of three; with the twelfth it would be four
    assert (result.simulations, where.engine.aborted_calls) == (12, 0)
    assert result.generated_tokens == where.engine.generated_tokens
    assert result.winners[0].path.text.startswith("".join(told(where)))


def _lineage(parents, node):
    """A node and everything above it."""
    lineage = []
    while node is not None:
        lineage.append(node)
        node = parents[node]
    return lineage


def test_second_thoughts_go_on_below_a_committed_answer():
    """A finished answer that is committed can still be thought over; it is never widened as if it went on."""
    table = FORK | {"B\n\nanswer: 2Hm.": [("answer: 3", 1.0)], "B\n\nanswer: 2Hm.answer: 3": [("", 1.0)]}
    table |= {"A\n\nanswer: 1Hm.": [("", 1.0)], "-": [("Hm.", 1.0)]}
    where = world(table, worth_of({"1": 0.25, "2": 0.5, "3": 0.9}))
    phrase = Reflection("Hm.", tuple(where.engine.tokenizer.encode("Hm.")))
    options = UctOptions(width=1, branch=2, expansion="top_tokens", reflection=phrase, commit=1, vote="max_value")
    result = search(uct, where, options)
    assert told(where)[:2] == ["B\n\n", "answer: 2"]
    assert result.winners[0].path.text.startswith("".join(told(where)))
    ended = len(where.prompt.token_ids) + 2  # B and its answer, the end of sequence dropped
    continued = [request for request in where.engine.requests if len(request.prefix) == ended]
    assert continued == []  # whatever follows an answer begins with the phrase


@pytest.mark.parametrize("error", [EngineDead("gone")])
def test_a_failure_after_a_commitment_gives_what_was_begun(error):
    """The answer still begins with the text that is out."""
    where = forest(failure=lambda _, number: error if number > 3 else None)
    result = search(uct, where, UctOptions(width=1, commit=1))
    assert result.stop_reason is StopReason.FAILED
    assert told(where)
    assert result.winners[0].path.finished
    assert result.winners[0].path.text.startswith("".join(told(where)))


@pytest.mark.parametrize("text", ["你好\n\n世界\n\n🌳", "🌳🌲\n\n🍂", "no answer\n\nat all", "in one step"])
def test_texts_of_all_kinds_flow_in_pieces(text):
    """Chinese, emoji and texts without an answer: the pieces joined begin the winner, and here are all of it."""
    where = world({}, lambda path: 0.9 if path.text.startswith(text[:2]) else 0.1)
    where.engine.script = lambda _, answer: [(text, 0.7), ("other", 0.3)] if not answer else None
    result = search(uct, where, UctOptions(width=1, branch=2, expansion="top_tokens", commit=1), seed=2)
    assert "".join(told(where)) == result.winners[0].path.text == text


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from(["full", "none"]),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([None, 40, 200]),
    st.sampled_from([None, 3.0, 10.0]),
    st.integers(0, 2**32),
)
def test_the_winner_always_begins_with_what_was_committed(width, commit, rollout, tokens, budget, seconds, seed):
    """Whatever the order of replies and whichever limit ends the search; each commitment extends the one before."""
    chance = random.Random(seed)
    where = forest(latency=lambda *_: chance.choice([0.0, 0.1, 1.0, chance.random()]))
    options = UctOptions(
        width=width,
        branch=chance.randint(1, 4),
        rollout=rollout,
        commit=commit,
        max_depth=chance.choice([2, 32]),
        step=StepRule(tokens=tokens),
    )

    async def main():
        limits = Budget(simulations=20, tokens=budget, seconds=seconds)
        try:
            return await uct(where.task(limits, max_tokens=12, n=2), where.ports(), options)
        except EspalierError:
            return None

    result = run_virtually(main)
    parents = {event.node: event.parent for event in where.seen(NodeAdded)}
    top = 0
    for event in where.seen(Committed):
        assert parents[event.node] == top
        top = event.node
    if result is None:
        assert told(where) == []
        return
    begun = "".join(told(where))
    assert all(winner.path.text.startswith(begun) for winner in result.winners)
    assert not begun or result.winners[0].path.finished
    assert where.engine.open_calls == 0
    assert budget is None or where.engine.generated_tokens == result.generated_tokens <= budget


def test_stop_strings_and_commitment_agree():
    """What a stop string cuts is not told either."""
    where = forest()
    sampling = Sampling(stop=("answer",))
    result = search(uct, where, UctOptions(width=1, commit=2), sampling=sampling, budget=Budget(simulations=20))
    assert result.winners[0].path.text.startswith("".join(told(where)))
    assert "answer" not in "".join(told(where))


@pytest.mark.parametrize("commit", [0, -1, 1_000_001])
def test_a_senseless_block_is_refused_by_name(commit):
    """The option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        UctOptions(commit=commit)
    assert refused.value.param == "search.commit"
