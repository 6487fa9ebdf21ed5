"""Stop texts that begin in one step and end in another: every strategy cuts a path where plain decoding would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.events import AnswerText
from mcts.ports import Finish, Sampling
from mcts.steps import StepRule, spliced, whole
from mcts.stops import certain, could_begin, stopped, trimmed
from mcts.strategies import (
    STRATEGIES,
    BeamOptions,
    DvtsOptions,
    ParticleOptions,
    RebaseOptions,
    Reflection,
    UctOptions,
)
from mcts.strategies.uct import uct
from tests.mcts.toys import answers, continuation, garden, search, world

TREES = {
    "uct": UctOptions(width=1),
    "uct by steps": UctOptions(width=1, rollout="none"),
    "uct with separate rollouts": UctOptions(width=1, joint=False, widening=0),
    "uct by tokens": UctOptions(width=1, rollout="none", step=StepRule(tokens=1)),
    "uct from top tokens": UctOptions(width=1, branch=2, rollout="none", expansion="top_tokens"),
    "uct with second thoughts": UctOptions(width=1, rollout="none", reflection=Reflection("A\n\n", (1,))),
    "beam": BeamOptions(beams=4, branch=2),
    "beam with lookahead": BeamOptions(beams=4, branch=2, lookahead=2),
    "beam of few rounds": BeamOptions(beams=4, branch=2, max_depth=2),
    "dvts": DvtsOptions(beams=4, branch=2),
    "rebase": RebaseOptions(beams=4),
    "particle": ParticleOptions(particles=4),
}


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("name", TREES)
def test_every_tree_sees_a_stop_text_across_its_steps(name, keeps):
    r"""``\n\nanswer`` begins with each step's delimiter. What is left are the texts before it, all of them ended."""
    where = garden()
    sampling = Sampling(stop=("\n\nanswer",), include_stop=keeps)
    result = search(STRATEGIES[name.split()[0]].run, where, TREES[name], sampling=sampling)
    allowed = {f"{text}\n\nanswer: {worth}" for text, worth in (("A", 1), ("B\n\nC", 3), ("B\n\nD", 4))}
    cut = {text[: text.index("\n\nanswer")] + ("\n\nanswer" if keeps else "") for text in allowed}
    assert result.candidates
    assert {candidate.path.text for candidate in result.candidates} <= cut
    for candidate in result.candidates:
        last = candidate.path.steps[-1]
        assert (last.finish, last.stop, candidate.path.finished) == (Finish.STOP, "\n\nanswer", True)
        assert "".join(step.text for step in candidate.path.steps) == candidate.path.text


def test_plain_decoding_cuts_at_the_same_place():
    """The yardstick of the rule above."""
    result = search(STRATEGIES["direct"].run, garden(), None, sampling=SAMPLING)
    assert result.winners[0].path.text in {"A", "B\n\nC", "B\n\nD"}


SAMPLING = Sampling(stop=("\n\nanswer",))


def test_a_stop_text_across_three_steps_trims_two():
    """``c.d.e`` begins in the last but one of the steps before; its one character there is trimmed as well."""
    before = [whole(continuation([text], Finish.LENGTH)) for text in ("ab", "c.", "d.")]
    cut = stopped(before, continuation(["e", "f"]), Sampling(stop=("c.d.e",)))
    assert (cut.text, cut.trims, cut.finish, cut.stop) == ("", 4, Finish.STOP, "c.d.e")
    assert cut.token_ids == (1,)
    assert [step.text for step in trimmed([*before, whole(cut)])] == ["ab", "", "", ""]


def test_what_is_trimmed_leaves_the_tree_as_it_was():
    """Token ids stay, so that other paths go on from the same step."""
    before = [whole(continuation(["ab"], Finish.LENGTH))]
    shown = spliced([*before, whole(stopped(before, continuation(["c"]), Sampling(stop=("bc",))))])
    assert [step.text for step in shown] == ["a", ""]
    assert shown[0].token_ids == before[0].token_ids
    assert before[0].text == "ab"


def test_the_stop_text_that_is_complete_first_wins():
    """``bcd`` begins first, ``cx`` would end later, ``bc`` ends first."""
    before = [whole(continuation(["ab"], Finish.LENGTH))]
    drawn = continuation(["c", "d", "x"])
    assert stopped(before, drawn, Sampling(stop=("bcd", "bc", "dx"))).stop == "bc"
    assert stopped(before, drawn, Sampling(stop=("zz", "bcd"))).stop == "bcd"
    assert stopped(before, drawn, Sampling(stop=("zz",))) is drawn
    assert stopped(before, drawn, Sampling()) is drawn


def test_a_stop_text_wholly_in_the_steps_before_is_over():
    """It was seen, or not to be counted, when they were written."""
    before = [whole(continuation(["abc"], Finish.LENGTH))]
    drawn = continuation(["d"])
    assert stopped(before, drawn, Sampling(stop=("abc", "bc"))) is drawn


def test_stop_texts_do_not_count_within_the_least_number_of_tokens():
    """The path has one token; ``bc`` is complete with the second, ``bcbc`` with the fourth."""
    before = [whole(continuation(["ab"], Finish.LENGTH))]
    drawn = continuation(["c", "b", "c", "d"])
    assert stopped(before, drawn, Sampling(stop=("bc",), min_tokens=1)).token_ids == (1,)
    late = stopped(before, drawn, Sampling(stop=("bc",), min_tokens=2))
    assert (late.token_ids, late.text, late.trims) == ((1, 2, 3), "c", 0)
    assert stopped(before, drawn, Sampling(stop=("bc",), min_tokens=4)) is drawn


def test_committed_text_waits_where_a_stop_text_might_begin():
    r"""Of ``A\n\n`` only the A is sure until the next step shows whether ``\n\nanswer`` follows; it does."""
    table = {"": [("A\n\n", 1.0)]} | answers(("A\n\n", "answer: 1"))
    where = world(table, lambda _: 0.5)
    result = search(uct, where, UctOptions(width=1, commit=1, rollout="none", branch=1), sampling=SAMPLING)
    assert "".join(event.text for event in where.seen(AnswerText)) == "A" == result.winners[0].path.text
    other = world(table, lambda _: 0.5)
    result = search(uct, other, UctOptions(width=1, commit=1, branch=1), sampling=Sampling(stop=("\n\nQ",)))
    assert "".join(event.text for event in other.seen(AnswerText)) == "A\n\nanswer: 1" == result.winners[0].path.text


LETTERS = st.text("ab", max_size=3)


@given(
    pieces=st.lists(st.lists(LETTERS, min_size=1, max_size=3), min_size=1, max_size=5),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3, unique=True),
    keeps=st.booleans(),
    least=st.integers(0, 5),
)
def test_a_path_in_steps_ends_as_the_same_text_in_one_piece(pieces, stops, keeps, least):
    """Wherever the steps are cut: same tokens, same visible text, same reason."""
    sampling = Sampling(stop=tuple(stops), include_stop=keeps, min_tokens=least)
    every = [piece for step in pieces for piece in step]
    wanted = stopped((), continuation(every), sampling)
    steps = []
    for step in pieces:
        drawn = stopped(steps, continuation(step, Finish.LENGTH), sampling)
        steps.append(whole(drawn))
        if drawn.finish is Finish.STOP:
            break
    shown = trimmed(steps)
    assert "".join(step.text for step in shown) == wanted.text
    assert sum(len(step.token_ids) for step in shown) == len(wanted.token_ids)
    assert shown[-1].stop == wanted.stop
    assert not any(step.trims for step in shown)
    if wanted.finish is Finish.STOP and not keeps and not least:
        assert not any(stop in wanted.text for stop in stops)
    assert np.all(np.diff([0, *wanted.offsets]) >= 0)


@given(text=st.text("ab.", max_size=12), stops=st.lists(st.text("ab.", min_size=1, max_size=4), max_size=3))
def test_certain_text_is_all_but_an_open_start_of_a_stop_text(text, stops):
    """And nothing more than that is held back."""
    sure = certain([whole(continuation([text]))], stops)
    assert sure + text[len(text) - could_begin(text, stops) :] == text
