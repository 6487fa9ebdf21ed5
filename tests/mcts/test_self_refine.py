"""MCTSr on scripted dialogues: what is asked of the model, what becomes of its replies, and where it ends."""

import asyncio
import random
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, EspalierError, InvalidRequest, NoAnswerInTime
from mcts.events import NodeAdded, PathScored, SearchFinished
from mcts.ports import Finish, Message, Path, Prompt, Sampling
from mcts.strategies import STRATEGIES, SelfRefineOptions
from mcts.strategies.answer_tree import AnswerTree
from mcts.strategies.refine_prompts import (
    CRITIQUE_REQUEST,
    GRADE_REQUEST,
    REWRITE_REQUEST,
    critique_request,
    grade_request,
    rewrite_request,
)
from mcts.strategies.self_refine import MCTSR, MCTSR_SAMPLING, select, self_refine
from mcts.strategies.self_rewards import reward
from tests.mcts.dialogues import Dialogue, dialogue, kind, kinds
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import search, step


@pytest.fixture
def trees(monkeypatch):
    """The trees of the searches that a test runs, which are not taken apart in the end."""
    made = []

    def make(*args):
        made.append(AnswerTree(*args))
        return made[-1]

    monkeypatch.setattr(AnswerTree, "dissolved", nullcontext)
    monkeypatch.setattr(import_module("mcts.strategies.self_refine"), "AnswerTree", make)
    return made


def one(text):
    """The only thing that may be said."""
    return [(text, 1.0)]


CHAIN = Dialogue(
    one("answer: 1"),
    {"answer: 1": one("answer: 2"), "answer: 2": one("answer: 3"), "answer: 3": one("answer: 4")},
    {"answer: 1": [-80], "answer: 2": [-50], "answer: 3": [0], "answer: 4": [90]},
)
GREEDY = replace(MCTSR, branch=1, exploration=0)


def refined(where, options=MCTSR, simulations=3, **fields):
    """A search of so many refinements."""
    fields = {"budget": Budget(simulations=simulations)} | fields
    return search(self_refine, where, options, **fields)


def rewards(result):
    """Candidates' answers and rewards."""
    return {candidate.answer: candidate.reward for candidate in result.candidates}


def test_the_first_answer_of_a_chain_feels_the_deepest_one(trees):
    """Values 90, 45, -2.5 and -41.25 (worked out in test_self_rewards.py) lead the search.

    What is told of each answer are its own grades, -80, -50, 0 and 90, in [0, 1].
    """
    result = refined(dialogue(CHAIN), GREEDY)
    assert [answer.value for answer in trees[0].answers] == [-41.25, -2.5, 45, 90]
    assert rewards(result) == {"1": 0.1, "2": 0.25, "3": 0.5, "4": 0.95}
    assert (result.winners[0].answer, result.winners[0].reward) == ("4", 0.95)
    assert (result.nodes, result.depth, result.simulations) == (5, 4, 3)
    assert result.stop_reason is StopReason.SIMULATIONS


def test_a_refinement_is_a_critique_a_rewriting_and_two_gradings():
    """The parent is graded again with each child; the question is asked once."""
    where = dialogue(CHAIN)
    result = refined(where, GREEDY, simulations=1)
    assert kinds(where) == ["answer", "grade", "critique", "rewrite", "grade", "grade"]
    graded = [where.engine.tokenizer.decode(r.prefix) for r in where.engine.requests if kind(r, where) == "grade"]
    assert ["answer: 2" in text for text in graded] == [False, True, False]
    assert (result.engine_calls, result.reward_calls) == (6, 0)
    assert [event.node for event in where.seen(PathScored)] == [1, 2, 1]


def test_the_turns_are_those_that_the_bundled_model_is_taught():
    """The chat, the answer, the request, the critique, the next request; grading is a chat of its own."""
    where = dialogue(CHAIN)
    refined(where, GREEDY, simulations=1)
    said = [where.engine.tokenizer.decode(request.prefix) for request in where.engine.requests]
    start = f"<user>?<assistant>answer: 1<user>{critique_request()}<assistant>"
    assert said[0] == "<user>?<assistant>"
    assert said[1] == f"<user>{grade_request('?', 'answer: 1')}<assistant>"
    assert said[2] == start
    assert said[3] == f"{start}It is weak.<user>{rewrite_request()}<assistant>"
    assert all(len(text.split()) < 40 for text in (CRITIQUE_REQUEST, REWRITE_REQUEST, GRADE_REQUEST))
    assert "Score: N" in GRADE_REQUEST


def test_a_later_refinement_does_not_drag_its_history_along():
    """Refining the second answer shows the model the question and that answer, not the first."""
    where = dialogue(CHAIN)
    refined(where, GREEDY, simulations=2)
    critiques = [r for r in where.engine.requests if kind(r, where) == "critique"]
    assert "answer: 1" not in where.engine.tokenizer.decode(critiques[1].prefix)


def test_answers_of_one_text_are_never_merged():
    """A rewriting that repeats the answer is a node of its own, with its own grades and its own draws."""
    where = dialogue(Dialogue(one("answer: 1"), {}, {"answer: 1": [10, 20, 30]}))
    result = refined(where, replace(MCTSR, branch=3), simulations=6)
    assert len(result.candidates) == 7 == result.nodes - 1
    seeds = [request.seed for request in where.engine.requests]
    assert len(set(seeds)) == len(seeds)


def test_the_reference_visits_every_new_answer_before_any_twice():
    """Values of one size, c = 1.4. Three refinements of the first answer, as long as no child is tried more cheaply.

    First answer A: N 1, father 1, bound 0 + 1.4 sqrt(1 / 1) = 1.4. Its child B after one refinement: father N 2,
    1.4 sqrt((ln 2 + 1) / 1) = 1.82, A now 1.4 sqrt(1 / 2) = 0.99: B is next, then its child C, and so on: a chain.
    """
    where = dialogue(Dialogue(one("same")))
    refined(where, MCTSR, simulations=3)
    assert [event.parent for event in where.seen(NodeAdded)] == [None, 0, 1, 2, 3]


def test_a_wrong_turn_is_left_for_the_answer_before_it(trees):
    """On the raw scale values decide: the child at -60 is worse than its parent at 20 - 40 = -20, which is tried again.

    A: graded 20, child B graded -60: Q'(A) = (20 - 60) / 2 = -20 with bound -20 + 1.4 · sqrt(1 / 2) = -19.01;
    B: -60 + 1.4 · sqrt(1.693) = -58.18. The second child C is graded 70: Q'(A) = (20 + 70) / 2 = 45.
    """
    says = Dialogue(
        one("answer: 1"),
        {"answer: 1": [("answer: 2", 0.5), ("Better answer: 3", 0.5)]},
        {"answer: 1": [20], "answer: 2": [-60], "Better answer: 3": [70]},
    )
    for seed in range(40):  # until the worse one comes first and the better one second
        where = dialogue(says)
        refined(where, MCTSR, simulations=2, seed=seed)
        added = where.seen(NodeAdded)
        if [event.text for event in added[2:]] == ["answer: 2", "Better answer: 3"]:
            break
    assert [event.parent for event in added] == [None, 0, 1, 1]
    assert [answer.value for answer in trees[-1].answers] == [45, -60, 70]


def test_rescaling_lets_exploration_weigh_as_much_as_values():
    """Three first answers of 90, 80 and -100, the best of them refined twice already; c = 1, father N = 3.

    Raw: 90 + sqrt((ln 3 + 1) / 3) = 90.84 beats 80 + 1.45. From smallest to largest: 1 + 0.84 < 180 / 190 + 1.45.
    """
    tree = AnswerTree()
    for score in (90, 80, -100):
        with tree.claimed(tree.question) as name:
            answer = tree.add(tree.question, name, Path(Prompt((1,)), (step(1),)))
        tree.question.visits += 1
        reward(answer, score)
    tree.nodes[1].visits = 3
    options = SelfRefineOptions(first_answers=3, exploration=1)
    assert select(tree, replace(options, normalize=False)) is tree.nodes[1]
    assert select(tree, options) is tree.nodes[2]


def test_best_value_and_vote_may_differ():
    """One answer graded 60 against two of 20: the reference takes the best value, a weighted vote the larger sum."""
    says = Dialogue(one("answer: 7"), {"answer: 7": one("answer: 8")}, {"answer: 7": [60], "answer: 8": [20]})
    options = replace(MCTSR, branch=20, exploration=0)
    where = dialogue(says)
    assert refined(where, options, simulations=2).winners[0].answer == "7"
    weighted = refined(dialogue(says), replace(options, vote="weighted"), simulations=2)
    # 60 is 0.8 once, 20 is 0.6 twice.
    assert [(tally.answer, round(tally.weight, 9)) for tally in weighted.tallies] == [("8", 1.2), ("7", 0.8)]


def test_a_full_mark_is_kept_down():
    """100 counts as 95: a reward of 0.975."""
    says = Dialogue(one("answer: 1"), {}, {"answer: 1": [100]})
    assert refined(dialogue(says), simulations=1).winners[0].reward == 0.975


def test_a_judgement_that_cannot_be_read_is_asked_for_again():
    """Of many tries with one readable reply in three, most answers get their grade; the number is the real one."""
    says = Dialogue(one("answer: 1"), {}, {"answer: 1": ["Good.", "I like it.", 50]})
    where = dialogue(says)
    result = refined(where, simulations=6)
    assert {candidate.reward for candidate in result.candidates} == {0.75}
    assert kinds(where).count("grade") > 13  # 1 + 6 · 2 visits had a single grading each, some of them again


def test_without_any_readable_grade_the_answer_stands_ungraded():
    """Three tries, then the search ends: no neutral score, no endless loop, and the reply says that it has no value."""
    where = dialogue(Dialogue(one("answer: 1"), {}, {"answer: 1": ["Good."]}))
    result = refined(where, SelfRefineOptions(width=1, first_answers=1, gradings=1))
    assert kinds(where) == ["answer", "grade", "grade", "grade"]
    assert len({request.seed for request in where.engine.requests}) == 4
    assert (result.winners[0].answer, result.winners[0].reward) == ("1", None)
    assert (result.stop_reason, result.simulations) == (StopReason.EXHAUSTED, 0)
    assert where.seen(PathScored) == []


def test_an_ungraded_answer_has_no_say_where_others_are_graded():
    """A child whose judgement cannot be read neither wins nor lifts its parent."""
    says = Dialogue(one("answer: 1"), {"answer: 1": one("answer: 2")}, {"answer: 1": [-40], "answer: 2": ["Splendid!"]})
    result = refined(dialogue(says), simulations=2)
    assert rewards(result) == {"1": 0.3}
    assert result.nodes == 4


def test_a_judgement_cut_at_its_limit_is_not_read():
    """'Score: 8' may have been about to become 85."""
    says = Dialogue(one("answer: 1"), {}, {"answer: 1": ["Score: 85"]})
    cut = refined(dialogue(says), replace(MCTSR, grade_tokens=8), simulations=1)
    whole = refined(dialogue(says), replace(MCTSR, grade_tokens=10), simulations=1)
    assert (cut.winners[0].reward, whole.winners[0].reward) == (None, 0.925)


def test_a_critique_cut_at_its_limit_is_used_as_far_as_it_goes():
    """The rewriting sees its beginning."""
    where = dialogue(CHAIN)
    refined(where, replace(GREEDY, critique_tokens=5), simulations=1)
    rewrite = next(r for r in where.engine.requests if kind(r, where) == "rewrite")
    assert "<assistant>It is<user>" in where.engine.tokenizer.decode(rewrite.prefix)


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_critique_leaves_nothing_to_rewrite(blank):
    """The refinement counts, adds no answer and is not repeated for ever."""
    where = dialogue(replace(CHAIN, critique=one(blank)))
    result = refined(where, GREEDY, simulations=2)
    assert (result.nodes, result.simulations, kinds(where).count("rewrite")) == (2, 2, 0)
    assert result.winners[0].answer == "1"


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_rewriting_is_no_answer(blank):
    """It is neither graded nor voted for."""
    where = dialogue(Dialogue(one("answer: 1"), {"answer: 1": one(blank)}, {"answer: 1": [10]}))
    result = refined(where, simulations=2)
    assert (len(result.candidates), result.nodes, result.simulations) == (1, 2, 2)
    assert kinds(where).count("grade") == 3  # the first answer, thrice


def test_a_model_that_says_nothing_gives_an_empty_answer():
    """Nothing to grade, nothing to refine: what plain decoding would give, without a value."""
    where = dialogue(Dialogue(one("")))
    result = refined(where)
    assert (result.winners[0].path.text, result.winners[0].reward) == ("", None)
    assert (kinds(where), result.stop_reason) == (["answer"], StopReason.EXHAUSTED)


@pytest.mark.parametrize(
    "question", ["三加四等于几？", "🤔 2️⃣+2️⃣?", "Write a poem about autumn.", "print('<b>')\n\nAnswer:\n1"]
)
def test_any_prompt_will_do(question):
    """Other scripts, emoji, code, and answers in which nothing can be recognised: the best-valued text wins."""
    says = Dialogue(
        one("秋天🍂"), {"秋天🍂": one("更好的秋天🍁"), "更好的秋天🍁": one("差")}, {"更好的秋天🍁": [40], "差": [-90]}
    )
    where = dialogue(says)
    where.messages = (Message("user", question),)
    result = refined(where, replace(GREEDY, branch=3), simulations=4)
    winner = result.winners[0]
    assert (winner.path.text, winner.answer, winner.reward) == ("更好的秋天🍁", None, 0.7)  # no worse for its child
    asked = [where.engine.tokenizer.decode(r.prefix) for r in where.engine.requests]
    assert all(question in text for text in asked)


def test_earlier_turns_are_part_of_the_question():
    """A follow-up question means nothing without them: the grader reads the chat turn by turn."""
    messages = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    where = dialogue(CHAIN)

    async def main():
        task = where.task(Budget(simulations=1))
        prompt = Prompt(tuple(await where.render(messages)), messages)
        return await self_refine(replace(task, prompt=prompt), where.ports(), GREEDY)

    run_virtually(main)
    asked = [where.engine.tokenizer.decode(r.prefix) for r in where.engine.requests]
    assert "system: Be brief.\n\nuser: a\n\nassistant: b\n\nuser: c" in asked[1]
    assert asked[2].startswith("<system>Be brief.<user>a<assistant>b<user>c<assistant>answer: 1<user>")


def test_what_the_client_prefilled_begins_every_answer():
    """The start of the assistant's turn belongs to each answer and is not asked twice."""
    messages = (Message("user", "?"), Message("assistant", "So "))
    where = dialogue(CHAIN)
    where.engine.script = lambda prompt, said: (
        {"So ": one("x"), "So x": one("")}.get(said) or CHAIN.script(prompt, said)
    )

    async def main():
        prompt = Prompt(tuple(await where.render(messages, continue_final=True)), messages, prefill="So ")
        task = replace(where.task(Budget(simulations=1)), prompt=prompt)
        return await self_refine(task, where.ports(), GREEDY)

    result = run_virtually(main)
    assert [candidate.path.text for candidate in result.candidates] == ["So x", "So x"]
    asked = [where.engine.tokenizer.decode(r.prefix) for r in where.engine.requests]
    assert asked[2] == f"<user>?<assistant>So x<user>{CRITIQUE_REQUEST}<assistant>"
    assert asked[3].endswith(f"<user>{REWRITE_REQUEST}<assistant>So ")


def test_bounds_on_the_answers_form_do_not_cut_the_other_turns():
    """Stop strings, biases and least lengths are about answers; critique and grading need none of them."""
    where = dialogue(CHAIN)
    sampling = Sampling(temperature=0.5, stop=(":",), min_tokens=2, logit_bias={5: 1.0}, bad_words=("x",))
    result = refined(where, GREEDY, simulations=1, sampling=sampling)
    assert result.candidates[0].path.text == "answer"
    for request in where.engine.requests:
        if kind(request, where) in {"answer", "rewrite"}:
            assert request.sampling == sampling
        else:
            assert request.sampling == Sampling(temperature=0.5)


def test_a_context_too_small_for_another_answer_ends_the_search():
    """No call is made that the model cannot read, and the search does not turn in circles."""
    where = dialogue(CHAIN)
    grading = len(where.engine.tokenizer.encode(f"<user>{grade_request('?', 'answer: 1')}<assistant>"))
    result = refined(where, GREEDY, max_tokens=20, context=grading + 30)
    assert all(len(r.prefix) + r.max_tokens <= grading + 30 for r in where.engine.requests)
    assert kinds(where)[:2] == ["answer", "grade"]
    assert "rewrite" not in kinds(where)
    assert (result.stop_reason, result.winners[0].answer) == (StopReason.EXHAUSTED, "1")


def test_a_context_too_small_for_a_grading_leaves_the_answer_ungraded():
    """The grading chat does not fit: no call, no grade, no refinement."""
    where = dialogue(CHAIN)
    result = refined(where, GREEDY, max_tokens=20, context=40)
    assert (kinds(where), result.stop_reason) == (["answer"], StopReason.EXHAUSTED)
    assert (result.winners[0].answer, result.winners[0].reward) == ("1", None)


def test_refinements_run_side_by_side():
    """Four first answers and then four refinements at once: calls of a second each, several open at a time."""
    open_at_once = []
    where = dialogue(CHAIN, latency=lambda *_: open_at_once.append(where.engine.open_calls) or 1.0)
    options = SelfRefineOptions(width=4, first_answers=4, gradings=1)
    result = refined(where, options, simulations=4)
    # A second for the answers, one for their grades; then critique, rewriting and grade: 5 instead of 4 · 2 + 4 · 4.
    assert result.seconds == 5
    assert max(open_at_once) == 8  # of each refinement the critique and the parent's next grade


def test_the_first_answer_is_refined_by_several_at_once_up_to_its_limit():
    """Whoever finds no refinable answer waits for news instead of refining the same one without end."""
    where = dialogue(CHAIN, latency=lambda *_: 1.0)
    refined(where, SelfRefineOptions(width=8, first_answers=1, branch=3, gradings=1), simulations=3)
    assert [event.parent for event in where.seen(NodeAdded)] == [None, 0, 1, 1, 1]


def test_the_same_seed_gives_the_same_search_at_width_one():
    """Timing has no part in it."""
    says = Dialogue(
        [("answer: 1", 0.5), ("I say answer: 2", 0.5)],
        {"answer: 1": [("answer: 2", 0.4), ("No. answer: 3", 0.6)], "I say answer: 2": one("answer: 1")},
        {"answer: 1": [-10, 20, 30], "answer: 2": [5, 50], "No. answer: 3": [0, 90]},
    )
    grown = []
    for chance in (random.Random(1), random.Random(2)):
        where = dialogue(says, latency=lambda *_, chance=chance: chance.random())
        result = refined(where, SelfRefineOptions(width=1), simulations=6, seed=5)
        grown.append((outline(replayed(where.events)), rewards(result), [r.seed for r in where.engine.requests]))
    assert grown[0] == grown[1]


def test_a_deadline_gives_the_best_answer_so_far():
    """Even one that nobody has graded yet; open calls are cancelled."""
    where = dialogue(CHAIN, latency=lambda *_: 1.0)
    result = refined(where, GREEDY, budget=Budget(seconds=1.5))
    assert (result.winners[0].answer, result.winners[0].reward) == ("1", None)
    assert (result.stop_reason, result.seconds, where.engine.open_calls) == (StopReason.DEADLINE, 1.5, 0)
    later = refined(dialogue(CHAIN, latency=lambda *_: 1.0), GREEDY, budget=Budget(seconds=5.5))
    # One second each: answer, grade, critique, rewriting, grade of the new answer.
    assert rewards(later) == {"1": 0.1, "2": 0.25}
    with pytest.raises(NoAnswerInTime):
        refined(dialogue(CHAIN, latency=lambda *_: 1.0), GREEDY, budget=Budget(seconds=0.5))


def test_the_token_budget_is_never_exceeded():
    """Ten tokens are the answer; the judgement is cut to the two that are left and cannot be read."""
    result = refined(dialogue(CHAIN), GREEDY, max_tokens=12, budget=Budget(tokens=12))
    assert (result.generated_tokens, result.winners[0].answer) == (12, "1")
    assert (result.stop_reason, result.winners[0].reward) == (StopReason.TOKENS, None)


@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
def test_an_engine_that_fails_leaves_the_best_answer_so_far(error):
    """Graded or not; without any answer its error is the answer."""
    for good in (1, 2, 4):
        where = dialogue(CHAIN, failure=lambda _, number, good=good: error if number >= good else None)
        result = refined(where, GREEDY)
        assert (result.winners[0].answer, result.stop_reason) == ("1", StopReason.FAILED)
    with pytest.raises(type(error)):
        refined(dialogue(CHAIN, failure=lambda *_: error), GREEDY)


def test_a_call_that_fails_once_is_repeated():
    """One failure changes nothing but a seed."""
    where = dialogue(CHAIN, failure=lambda _, number: EngineCallFailed("no") if number % 2 == 0 else None)
    assert refined(where, GREEDY).winners[0].answer == "4"


def test_a_prompt_without_turns_is_refused():
    """A raw text has no turns to answer in, and a search without a renderer cannot hold a chat."""
    where = dialogue(CHAIN)

    def run(prompt, renderer):
        async def main():
            ports = replace(where.ports(), renderer=renderer)
            return await self_refine(replace(where.task(), prompt=prompt), ports, GREEDY)

        with pytest.raises(InvalidRequest) as refused:
            run_virtually(main)
        assert refused.value.param == "search.strategy"

    run(replace(where.prompt, messages=(), text="?"), where)
    run(where.prompt, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("first_answers", 0),
        ("branch", 21),
        ("exploration", float("nan")),
        ("gradings", 17),
        ("critique_tokens", 0),
        ("grade_tokens", 0),
        ("critique_request", " "),
        ("rewrite_request", ""),
        ("grade_request", "\n"),
        ("vote", "loudest"),
    ],
)
def test_senseless_options_are_refused_by_name(field, value):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        SelfRefineOptions(**{field: value})
    assert refused.value.param == f"search.{field}"


def test_the_reference_keeps_the_published_constants():
    """MCTSr's code: C 1.4, three refinements, temperature 0.95; its values are not rescaled."""
    assert STRATEGIES["mctsr"].defaults is MCTSR
    assert (MCTSR.exploration, MCTSR.branch, MCTSR.normalize, MCTSR.gradings) == (1.4, 3, False, 1)
    assert (MCTSR.width, MCTSR.first_answers, MCTSR.vote) == (1, 1, "max_value")
    assert MCTSR_SAMPLING.temperature == 0.95


def test_the_most_tokens_of_a_search_bound_what_it_generates():
    """2 · (100 + 2·3·10) + 5 · (50 + 100 + 2·2·3·10) = 320 + 1350."""
    options = SelfRefineOptions(first_answers=2, gradings=2, critique_tokens=50, grade_tokens=10)
    assert options.most_tokens(simulations=5, max_tokens=100) == 1670
    unreadable = Dialogue(one("a" * 300), {}, {"a" * 100: [1, "x" * 300]}, critique=one("c" * 300))
    result = refined(dialogue(unreadable), options, simulations=5, max_tokens=100)
    assert result.generated_tokens <= 1670
    assert result.winners[0].path.steps[-1].finish is Finish.LENGTH


RESTLESS = Dialogue(
    [("answer: 1", 0.6), ("I say answer: 2", 0.3), ("", 0.1)],
    {
        "answer: 1": [("answer: 2", 0.4), ("No. answer: 3", 0.4), (" ", 0.2)],
        "answer: 2": [("answer: 1", 0.5), ("poem", 0.5)],
    },
    {"answer: 1": [-10, 20, "Good."], "answer: 2": [5, 100, "Score: 500"], "poem": ["?"], "No. answer: 3": [-100]},
    critique=[("It is weak.", 0.8), ("", 0.2)],
)


@st.composite
def searches(draw):
    """Options, a budget and a restless world."""
    options = SelfRefineOptions(
        width=draw(st.integers(1, 6)),
        first_answers=draw(st.integers(1, 3)),
        branch=draw(st.integers(1, 3)),
        normalize=draw(st.booleans()),
        gradings=draw(st.integers(1, 3)),
        critique_tokens=draw(st.sampled_from([3, 50])),
        vote=draw(st.sampled_from(["weighted", "majority", "max_value", "max_visits"])),
    )
    budget = Budget(
        simulations=draw(st.integers(1, 12)),
        tokens=draw(st.sampled_from([None, 1, 30, 300])),
        seconds=draw(st.sampled_from([None, 0.5, 5.0])),
    )
    return options, budget, random.Random(draw(st.integers(0, 2**32))), draw(st.sampled_from([0, 0, 0.1, 0.5]))


def _world(chance, failing):
    errors = [EngineCallFailed("no"), EngineCallFailed("no"), EngineDead("gone")]
    return dialogue(
        RESTLESS,
        latency=lambda *_: chance.choice([0.0, 0.1, 1.0, chance.random()]),
        failure=lambda *_: chance.choice(errors) if chance.random() < failing else None,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(searches(), st.one_of(st.none(), st.floats(0, 12)))
def test_whatever_happens_nothing_is_left_behind(trees, case, moment):
    """Any order of replies, any failures, any limits, cancelled or not: nothing open or in flight, budget kept."""
    options, budget, chance, failing = case
    where = _world(chance, failing)

    async def main():
        task = asyncio.create_task(self_refine(where.task(budget, max_tokens=20, context=600), where.ports(), options))
        await asyncio.wait([task], timeout=moment)
        task.cancel()
        with suppress(asyncio.CancelledError, EspalierError):
            result = await task
            assert result.simulations <= budget.simulations
            assert budget.seconds is None or result.seconds <= budget.seconds + 1e-6
            assert result.generated_tokens == where.engine.generated_tokens
            assert result.winners[0] in result.candidates
            assert all(c.reward is None or 0 <= c.reward <= 1 for c in result.candidates)
            assert len({c.reward is None for c in result.candidates}) == 1  # graded ones or, failing those, ungraded

    run_virtually(main)
    assert where.engine.open_calls == 0
    assert budget.tokens is None or where.engine.generated_tokens <= budget.tokens
    assert all(len(request.prefix) + request.max_tokens <= 600 for request in where.engine.requests)
    if where.events:
        assert isinstance(where.events[-1], SearchFinished)
    if where.events and trees:
        assert trees[-1].in_flight == 0
        assert [event.node for event in where.seen(NodeAdded)] == list(range(len(trees[-1].nodes)))
