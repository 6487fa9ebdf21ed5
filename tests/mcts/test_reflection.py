"""Second thoughts after the reflection phrase."""

import pytest

from engine.scripted_language import END
from mcts.budget import Budget
from mcts.errors import EngineDead, InvalidRequest
from mcts.events import NodeAdded
from mcts.ports import Sampling
from mcts.steps import StepRule
from mcts.strategies import Reflection, UctOptions
from mcts.strategies.uct import uct
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import search, world, worth_of

PHRASE = "Wait!"
DOUBT = {
    "": [("A\n\n", 1.0)],
    "A\n\n": [("answer: 1", 1.0)],
    "A\n\nanswer: 1": [(END, 1.0)],
    "A\n\nanswer: 1Wait!": [(" So\n\n", 1.0)],
    "A\n\nanswer: 1Wait! So\n\n": [("answer: 2", 1.0)],
    "A\n\nanswer: 1Wait! So\n\nanswer: 2": [(END, 1.0)],
    "Wait!": [(END, 1.0)],  # only so that the tokenizer knows the phrase
}


def _doubting(**options):
    """A world on DOUBT and options with its reflection."""
    where = world(DOUBT | {"-": [(PHRASE, 1.0)]}, worth_of({"1": 0.25, "2": 0.75}))
    phrase = Reflection(PHRASE, tuple(where.engine.tokenizer.encode(PHRASE)))
    return where, UctOptions(width=1, branch=1, widening=0, reflection=phrase, **options)


@pytest.mark.parametrize("rollout", ["full", "none"])
def test_both_answers_are_candidates_and_the_second_thought_is_a_child_of_the_first(rollout):
    """The finished node gets the phrase as a child; each thought is one visit of all above it."""
    where, options = _doubting(rollout=rollout)
    result = search(uct, where, options)
    assert [c.answer for c in result.candidates] == ["1", "2"]
    assert result.winners[0].answer == "2"
    assert result.winners[0].path.text == "A\n\nanswer: 1Wait! So\n\nanswer: 2"
    lines = outline(replayed(where.events))
    if rollout == "full":  # two visits: 0.25 before and 0.75 after the phrase
        assert lines == [
            ". 2 1",
            " A 2 1",
            "  answer: 1 2 1",
            "   Wait! 1 0.75",
            "    So 1 0.75",
            "     answer: 2 1 0.75",
        ]
    else:  # the step A alone had no answer and counts as a visit worth 0
        assert lines[:4] == [". 3 1", " A 3 1", "  answer: 1 2 1", "   Wait! 1 0.75"]


def test_the_continued_text_has_no_end_of_sequence_before_the_phrase():
    """The engine reads the finished text, then the phrase: token ids as they were, the end token left out."""
    where, options = _doubting()
    result = search(uct, where, options)
    encode = where.engine.tokenizer.encode
    assert where.engine.requests[-1].prefix == (*where.prompt.token_ids, *encode("A\n\nanswer: 1Wait!"))
    assert result.winners[0].path.token_ids == (*encode("A\n\nanswer: 1Wait! So\n\nanswer: 2"), 0)
    assert [step.forced for step in result.winners[0].path.steps] == [False, False, True, False, False]


def test_a_second_thought_is_scored_by_what_follows_the_phrase():
    """The evaluation begins after the phrase, whose tokens the model did not choose."""
    where, options = _doubting()
    seen = []
    worth = where.reward.worth
    where.reward.worth = lambda path: seen.append(path.scored_from) or worth(path)
    search(uct, where, options)
    assert seen == [0, 3]


def test_every_answer_is_doubted_once_and_doubts_never():
    """Four equal rollouts are one finished path: one reflection, and none of the reflection."""
    where, _ = _doubting()
    phrase = Reflection(PHRASE, tuple(where.engine.tokenizer.encode(PHRASE)))
    result = search(uct, where, UctOptions(width=1, branch=4, reflection=phrase), budget=Budget(simulations=1))
    assert sum(PHRASE in c.path.text for c in result.candidates) == 1
    assert all(c.path.text.count(PHRASE) <= 1 for c in result.candidates)


def test_mini_steps_reflect_alike():
    """Reflection does not depend on the step rule."""
    where, options = _doubting(step=StepRule(tokens=1))
    assert search(uct, where, options).winners[0].answer == "2"
    assert any(event.text == PHRASE for event in where.seen(NodeAdded))


def test_nobody_leaves_while_second_thoughts_may_reopen_the_tree():
    """The root's rollouts are one finished step: nothing is left until its second thought, a call of a second, came.

    The other worker waits for it, so the second simulation is done and the tree was never exhausted.
    """
    table = {"": [("answer: 1", 1.0)], "answer: 1": [(END, 1.0)], "answer: 1Wait!": [("So\n\n", 0.5), ("No\n\n", 0.5)]}
    table |= {"answer: 1Wait!So\n\n": [("answer: 2", 1.0)], "answer: 1Wait!No\n\n": [("answer: 3", 1.0)]}
    where = world(table | {"-": [(PHRASE, 1.0)]}, lambda _: 0.5, latency=lambda *_: 1.0)
    phrase = Reflection(PHRASE, tuple(where.engine.tokenizer.encode(PHRASE)))
    options = UctOptions(width=2, branch=2, widening=0, reflection=phrase)
    result = search(uct, where, options, budget=Budget(simulations=2))
    assert (result.simulations, result.stop_reason, result.seconds) == (2, "simulations", 3.0)


def test_without_room_there_is_no_second_thought():
    """A path or a search at its token limit keeps its first answer."""
    where, options = _doubting()
    assert [c.answer for c in search(uct, where, options, max_tokens=3).candidates] == ["1"]
    where, options = _doubting()
    assert [c.answer for c in search(uct, where, options, budget=Budget(tokens=3), max_tokens=3).candidates] == ["1"]


def test_a_text_cut_by_the_clients_stop_string_is_left_alone():
    """What the client has cut cannot be continued as the client sees it."""
    where, options = _doubting()
    result = search(uct, where, options, sampling=Sampling(stop=("answer",)))
    assert [c.path.text for c in result.candidates] == ["A\n\n"]


def test_a_reflection_that_fails_leaves_the_first_answer():
    """The answer before the phrase is a candidate already."""
    where, options = _doubting()
    where.engine.failure = lambda _, number: EngineDead("gone") if number else None
    result = search(uct, where, options)
    assert (result.winners[0].answer, result.stop_reason) == ("1", "failed")


def test_an_empty_phrase_is_refused():
    """A reflection needs at least one token."""
    with pytest.raises(InvalidRequest):
        Reflection("", ())
