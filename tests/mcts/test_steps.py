"""Where steps end: at token boundaries, never empty, losing nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.errors import InvalidRequest
from mcts.ports import Continuation, Finish
from mcts.steps import StepRule, forced_step, joined, open_ended, spliced
from tests.mcts.toys import continuation


def _texts(rule: StepRule, whole: Continuation) -> list[str]:
    return [step.text for step in rule.split(whole)]


@pytest.mark.parametrize(
    ("pieces", "steps"),
    [
        (["A", "\n\n", "B"], ["A\n\n", "B"]),
        (["A", "\n", "\n", "B"], ["A\n\n", "B"]),  # across two tokens
        (["A", ".\n\nSo", " B"], ["A.\n\nSo", " B"]),  # inside a token: the step ends after that token
        (["A", "\n\n\n", "B"], ["A\n\n\n", "B"]),
        (["A", "\n\n", "\n\n", "B"], ["A\n\n\n\n", "B"]),  # a second blank line joins the step before
        (["\n\n", "A", "\n\n", "B"], ["\n\nA\n\n", "B"]),  # a leading one the step after
        (["A", "\n\n", " ", "\n\n"], ["A\n\n \n\n"]),
        (["\n\n", "\n\n"], ["\n\n\n\n"]),  # nothing to join: the only step may be blank
        (["A\n\nB\n\n", "C"], ["A\n\nB\n\n", "C"]),  # twice in one token
        (["你好", "。\n\n", "🌳", "\n\n", "é"], ["你好。\n\n", "🌳\n\n", "é"]),
        (["A"], ["A"]),
    ],
)
def test_a_step_ends_with_the_token_that_holds_the_delimiters_last_character(pieces, steps):
    """Delimiters end steps at token boundaries, and pieces without visible text join a neighbour."""
    assert _texts(StepRule(), continuation(pieces)) == steps


def test_a_lone_end_of_sequence_joins_the_last_step():
    """The end-of-sequence token after a delimiter is no step of its own."""
    first, last = StepRule().split(continuation(["A", "\n\n", "B", "\n\n"], eos=True))
    assert (first.token_ids, first.finish) == ((1, 2), Finish.DELIMITER)
    assert (last.token_ids, last.text, last.finish) == ((3, 4, 0), "B\n\n", Finish.EOS)


def test_bytes_of_one_character_stay_with_the_token_that_completes_it():
    """A character of several tokens belongs to the step in which it becomes visible."""
    whole = continuation(["a", "", "", "🌳", "b"])  # three tokens before the tree shows
    assert _texts(StepRule(tokens=2), whole) == ["a", "🌳", "b"]
    assert [step.token_ids for step in StepRule(tokens=2).split(whole)] == [(1, 2), (3, 4), (5,)]


def test_mini_steps_have_exactly_n_tokens_whatever_the_text():
    """A mini-step rule cuts after every N tokens and pays no heed to delimiters."""
    steps = StepRule(tokens=2).split(continuation(["A", "\n\n", "B", "C", "D"]))
    assert [step.token_ids for step in steps] == [(1, 2), (3, 4), (5,)]
    assert [step.finish for step in steps] == [Finish.LENGTH, Finish.LENGTH, Finish.EOS]


def test_a_blank_mini_step_joins_its_neighbour():
    """Mini-steps of one token never leave a step without visible text."""
    assert _texts(StepRule(tokens=1), continuation([" ", "A", "\n", "B"])) == [" A\n", "B"]


def test_a_rule_says_what_to_ask_of_the_engine_for_one_step():
    """Delimiters go to the engine as stops, mini-steps as a token limit."""
    assert (StepRule().stops, StepRule().limit(99)) == (("\n\n",), 99)
    assert (StepRule(tokens=32).stops, StepRule(tokens=32).limit(99), StepRule(tokens=32).limit(9)) == ((), 32, 9)


@pytest.mark.parametrize("rule", [{"tokens": 0}, {"tokens": 5000}, {"delimiters": ()}, {"delimiters": ("",)}])
def test_a_senseless_rule_is_refused_by_name(rule):
    """Every field of a rule is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        StepRule(**rule)
    assert refused.value.param in {"search.step.tokens", "search.step.delimiter"}


PIECES = st.lists(st.sampled_from(["a", "\n", "\n\n", " ", "b.\n\nc", "", "漢", "🌳", ".\n"]), min_size=1, max_size=30)


@given(PIECES, st.one_of(st.none(), st.integers(1, 5)), st.booleans())
def test_steps_joined_are_the_continuation(pieces, tokens, eos):
    """Splitting loses no token, no character and no log-probability, and makes no empty step."""
    whole = continuation(pieces, eos=eos)
    steps = StepRule(tokens=tokens).split(whole)
    assert "".join(step.text for step in steps) == whole.text
    assert tuple(token for step in steps for token in step.token_ids) == whole.token_ids
    np.testing.assert_array_equal(np.concatenate([step.logprobs for step in steps]), whole.logprobs)
    np.testing.assert_array_equal(np.concatenate([step.top_ids for step in steps]), whole.top_ids)
    assert all(len(step.logprobs) == len(step.token_ids) == len(step.top_logprobs) for step in steps)
    assert steps[-1].finish is Finish.EOS
    assert len(steps) == 1 or all(step.text.strip() for step in steps)


@given(PIECES, st.integers(1, 29))
def test_pieces_of_a_stream_joined_are_what_sample_gives(pieces, cut):
    """Joining two parts restores the whole, offsets included."""
    whole = continuation(pieces)
    cut = min(cut, len(pieces))
    first = continuation(pieces[:cut])
    if cut == len(pieces):
        assert joined([first]) is first
        return
    rest = continuation(pieces[cut:])
    both = joined([first, rest])
    assert both.text == whole.text
    assert len(both.token_ids) == len(whole.token_ids)
    np.testing.assert_array_equal(both.offsets, whole.offsets)


def test_an_end_of_sequence_goes_where_text_follows_it():
    """A path that continues past a finished step is read without that step's end-of-sequence token."""
    finished = StepRule().split(continuation(["A"], eos=True))
    phrase = forced_step("Wait!", (7, 8))
    path = spliced([*finished, phrase, *finished])
    assert [step.token_ids for step in path] == [(1,), (7, 8), (1, 0)]
    assert [len(step.logprobs) for step in path] == [1, 0, 2]
    assert [step.token_ids for step in open_ended(finished)] == [(1,)]
