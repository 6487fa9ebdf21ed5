"""Beginning with the likeliest next tokens: which ones, in which order, and what the calls ask for."""

from dataclasses import replace

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_language import EOS, FIRST_PIECE
from engine.virtual_time import run_virtually
from mcts.budget import Budget
from mcts.ports import Finish, Sampling
from mcts.search import Search
from mcts.steps import StepRule
from mcts.strategies import UctOptions
from mcts.strategies.top_tokens import begun_with_token, likeliest
from mcts.strategies.uct import uct
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import search, world

LETTERS = "ABCDEF"
ALPHABET = {"": list(zip(LETTERS, (0.3, 0.25, 0.2, 0.15, 0.07, 0.03), strict=True))}
ALPHABET |= {letter: [("\n\n", 1.0)] for letter in LETTERS}
ALPHABET |= {f"{letter}\n\n": [("", 1.0)] for letter in LETTERS}


def asked(question, where=None, **fields):
    """What a question to the calls of one search gives."""
    where = where or world(ALPHABET)

    async def main():
        search = Search(where.task(**fields), where.ports(), "test", scored=False)
        return await question(search.calls, search.task.prompt.token_ids, where.engine.tokenizer)

    return run_virtually(main)


def ranked(n, taken="", **fields):
    """The likeliest first tokens as text."""

    async def question(calls, prefix, tokenizer):
        found = await likeliest(calls, prefix, n, set(tokenizer.encode(taken)))
        return None if found is None else tokenizer.decode(found)

    return asked(question, **fields)


def test_the_likeliest_tokens_come_best_first():
    """The five likeliest of six, as in the paper; more than there are give all."""
    assert ranked(5) == "ABCDE"
    assert ranked(20) == "ABCDEF"


def test_tokens_that_are_taken_make_room_for_the_next_likely():
    """Two wanted besides A and C: the ranking asks for four and gives B and D."""
    where = world(ALPHABET)
    assert ranked(2, taken="AC", where=where) == "BD"
    (request,) = where.engine.requests
    assert (request.max_tokens, request.n, request.top_logprobs) == (1, 1, 4)


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        (lambda ids: Sampling(logit_bias={ids["A"]: -100.0}), "BCD"),
        (lambda ids: Sampling(logit_bias={ids["A"]: -5.0}), "ABCD"),  # made rarer, not ruled out
        (lambda ids: Sampling(allowed_token_ids=(ids["C"], ids["D"])), "CD"),
    ],
)
def test_what_the_client_rules_out_is_left_out(sampling, left):
    """Banned tokens and those outside the allowed ones begin nothing."""
    where = world(ALPHABET)
    ids = {letter: where.engine.tokenizer.encode(letter)[0] for letter in LETTERS}
    assert ranked(4, where=where, sampling=sampling(ids)) == left


def test_ranking_is_by_the_models_own_likelihood():
    """Temperature and nucleus change what is drawn, not what ranks."""
    assert ranked(6, sampling=Sampling(temperature=0.1, top_p=0.3)) == "ABCDEF"


def test_no_room_for_the_ranking_call_is_told_from_nothing_found():
    """None is for the budget, an empty list for a model without further tokens."""
    where = world(ALPHABET)
    assert ranked(2, where=where, budget=Budget(tokens=1), max_tokens=1) == "AB"

    async def exhausted(calls, prefix, _):
        await calls.sample(prefix, "spend", max_tokens=1)
        return await likeliest(calls, prefix, 2)

    assert asked(exhausted, budget=Budget(tokens=1)) is None
    assert ranked(2, taken=LETTERS) == ""


@pytest.mark.parametrize(
    ("limits", "text", "finish", "calls"),
    [
        ({}, "B\n\n", Finish.EOS, 2),
        ({"max_tokens": 1}, "B", Finish.LENGTH, 1),
        ({"max_tokens": 2}, "B\n\n", Finish.LENGTH, 2),
        ({"delimiters": ("\n\n",)}, "B\n\n", Finish.DELIMITER, 2),
        ({"delimiters": ("B",)}, "B", Finish.LENGTH, 1),  # the first token is the whole step
    ],
)
def test_a_text_begins_with_the_given_token_and_keeps_its_limits(limits, text, finish, calls):
    """The token first, by a call that may draw nothing else; the rest within what is left of the limits."""
    where = world(ALPHABET)

    async def question(calls_, prefix, tokenizer):
        (token,) = tokenizer.encode("B")
        return await begun_with_token(calls_, prefix, token, top_logprobs=2, **limits)

    (written,) = asked(question, where)
    assert (written.text, written.finish, where.engine.calls) == (text, finish, calls)
    assert written.logprobs[0] == pytest.approx(-1.386294, abs=1e-6)  # ln 0.25, although nothing else was allowed
    assert written.top_logprobs.shape == (len(written.token_ids), 2)
    assert where.engine.requests[0].sampling.allowed_token_ids == (written.token_ids[0],)


class Refusing(ScriptedEngine):
    """Draws another token where the one that it is forced to draw is a bad word, as real engines do."""

    def _draw(self, request, i):
        bad = {self.tokenizer.encode(word)[0] for word in request.sampling.bad_words}
        if bad & set(request.sampling.allowed_token_ids):
            request = replace(request, sampling=replace(request.sampling, allowed_token_ids=(FIRST_PIECE + 5,)))
        return super()._draw(request, i)


def test_a_bad_word_begins_nothing():
    """The engine gives F instead of the bad word B: that text would not begin with the token it was asked for."""
    where = world(ALPHABET)
    where.engine = Refusing(where.engine.script, where.engine.tokenizer)

    async def question(calls, prefix, tokenizer):
        return [await begun_with_token(calls, prefix, token) for token in tokenizer.encode("AB")]

    allowed, bad = asked(question, where, sampling=Sampling(bad_words=("B",)))
    assert ([one.text for one in allowed], bad) == (["A\n\n"], ())
    assert where.engine.calls == 3  # nothing was written on from the wrong token


@pytest.mark.parametrize(("least", "texts"), [(0, [""]), (1, [""]), (2, [])])
def test_no_end_is_forced_below_the_least_number_of_tokens(least, texts):
    """After A, which is one token, the text may end at once where one token is enough."""
    where = world({"": [("A", 1.0)], "A": [("", 0.6), ("B", 0.4)]})

    async def question(calls, prefix, tokenizer):
        return await begun_with_token(calls, (*prefix, *tokenizer.encode("A")), EOS)

    assert [one.text for one in asked(question, where, sampling=Sampling(min_tokens=least))] == texts


def test_branches_that_the_client_rules_out_are_not_taken_for_a_lack_of_tokens():
    """The only likely token ends the text, which may not be that short: nothing can be expanded, budget or not."""
    where = world({"": [("A", 1.0)], "A": [("", 1.0)]}, lambda _: 0.5)
    options = UctOptions(width=1, branch=1, expansion="top_tokens", rollout="none", step=StepRule(tokens=1))
    result = search(uct, where, options, sampling=Sampling(min_tokens=2))
    assert (result.winners[0].path.text, result.winners[0].path.finished) == ("A", False)
    assert str(result.stop_reason) == "exhausted"


def test_widening_a_node_takes_the_tokens_that_come_next():
    """A search that expands from the top two of six goes on with the next two when nothing else is left.

    Each letter is a text of its own: the root has two children after the first simulation; exhausted, it is widened
    by C and D, then by E and F; three more sets bring nothing.
    """
    table = {"": ALPHABET[""]} | {letter: [("", 1.0)] for letter in LETTERS}
    where = world(table, lambda _: 0.5)
    result = search(uct, where, UctOptions(width=1, branch=2, expansion="top_tokens"))
    assert outline(replayed(where.events))[1:] == [f" {letter} 1 0.5" for letter in LETTERS]
    assert result.simulations == 6
    assert str(result.stop_reason) == "exhausted"
