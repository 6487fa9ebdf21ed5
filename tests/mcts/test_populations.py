"""What beam search, DVTS, REBASE and particle filtering have in common: limits, failures, all kinds of texts."""

import asyncio
import random
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scripted_judges import mean_probability
from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, EspalierError, InvalidRequest, NoAnswerInTime, StepMismatch
from mcts.events import SearchFinished, SearchStarted, SimulationDone
from mcts.ports import Finish, PathScore, Sampling
from mcts.steps import StepRule
from mcts.strategies import STRATEGIES, BeamOptions, DvtsOptions, ParticleOptions, RebaseOptions
from tests.mcts.dictated import dictated
from tests.mcts.integrity import problems
from tests.mcts.replay import replayed
from tests.mcts.test_properties import THOROUGH, _accident_prone, _drawn
from tests.mcts.toys import forest, forest_worth, garden, search, world

SMALL = {
    "beam": BeamOptions(beams=6, branch=2),
    "dvts": DvtsOptions(beams=6, branch=2),
    "rebase": RebaseOptions(beams=6),
    "particle": ParticleOptions(particles=6),
}
every = pytest.mark.parametrize("name", SMALL)


@st.composite
def cases(draw):
    """A strategy with options, a budget, a source of accidents and how likely a call fails."""
    common = {
        "max_depth": draw(st.sampled_from([1, 2, 3, 40])),
        "step": StepRule(tokens=draw(st.sampled_from([None, 1, 2, 3]))),
        "aggregate": draw(st.sampled_from(["last", "min", "product", "mean"])),
        "width": draw(st.sampled_from([1, 2, 64])),
    }
    paths, branch, lookahead = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.sampled_from([0, 0, 1, 3]))
    greedy = {"beams": paths, "branch": branch, "lookahead": lookahead}
    options = {
        "beam": BeamOptions(**common, **greedy, refill=draw(st.booleans())),
        "dvts": DvtsOptions(**common, **greedy),
        "rebase": RebaseOptions(**common, beams=paths, balance=draw(st.sampled_from([0.001, 0.2, 10]))),
        "particle": ParticleOptions(
            **common, particles=paths, resampling=draw(st.sampled_from(["systematic", "multinomial"]))
        ),
    }
    name = draw(st.sampled_from(list(options)))
    budget = Budget(
        tokens=draw(st.sampled_from([None, 1, 7, 40, 200])), seconds=draw(st.sampled_from([None, 0.5, 3.0, 10.0]))
    )
    chance = random.Random(draw(st.integers(0, 2**32)))
    return name, options[name], paths, budget, chance, draw(st.sampled_from([0, 0, 0.1, 0.5]))


@pytest.fixture
def trees(monkeypatch):
    """The trees of the searches that a test runs, which are not taken apart in the end."""
    from mcts.strategies import population

    made, tree = [], population.Tree
    monkeypatch.setattr(tree, "dissolved", nullcontext)
    monkeypatch.setattr(population, "Tree", lambda *args: made.append(tree(*args)) or made[-1])
    return made


@THOROUGH
@given(cases())
def test_whatever_happens_the_search_stays_sound(trees, case):
    """Any order of replies, failures, limits: nothing open, the budget holds, never more candidates than paths."""
    name, options, paths, budget, chance, failing = case
    where = _accident_prone(chance, failing)

    async def main():
        try:
            result = await STRATEGIES[name].run(where.task(budget, max_tokens=12), where.ports(), options)
        except EspalierError:
            return
        assert budget.seconds is None or result.seconds <= budget.seconds + 1e-6
        assert result.generated_tokens == where.engine.generated_tokens
        assert result.winners[0] in result.candidates
        assert 1 <= len(result.candidates) <= paths
        assert all(c.path.finished == (c.path.steps[-1].finish is Finish.EOS) for c in result.candidates)
        assert result.nodes == len(trees[-1].nodes)

    run_virtually(main)
    assert problems(trees[-1]) == []
    assert (where.engine.open_calls, where.reward.open_calls) == (0, 0)
    assert budget.tokens is None or where.engine.generated_tokens <= budget.tokens
    assert replayed(where.events) == _drawn(trees[-1].root)


@THOROUGH
@given(cases(), st.floats(0, 12))
def test_cancelling_at_any_moment_leaves_nothing_behind(case, moment):
    """A search that is cancelled has no call open, and observers learn of its end."""
    name, options, _, budget, chance, failing = case
    where = _accident_prone(chance, failing)

    async def main():
        running = STRATEGIES[name].run(where.task(budget, max_tokens=12), where.ports(), options)
        task = asyncio.create_task(running)
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None or isinstance(task.exception(), EspalierError)

    run_virtually(main)
    assert (where.engine.open_calls, where.reward.open_calls) == (0, 0)
    assert [type(event) for event in where.events][-1:] in ([SearchFinished], [])


@THOROUGH
@given(cases(), st.integers(0, 2**31))
def test_width_one_and_the_same_seed_give_the_same_search(case, seed):
    """A sequential search is a function of its seed, also under a token budget; timing has no part in it."""
    name, options, _, budget, chance, _ = case
    options = replace(options, width=1)
    grown = []
    for _ in range(2):
        where = forest(latency=lambda *_: chance.random())

        async def main(where=where):
            task = where.task(Budget(tokens=budget.tokens), max_tokens=12, seed=seed)
            with suppress(NoAnswerInTime):
                await STRATEGIES[name].run(task, where.ports(), options)

        run_virtually(main)
        grown.append(replayed(where.events))
    assert grown[0] == grown[1]


@pytest.mark.parametrize("name", ["beam", "rebase", "particle"])
@pytest.mark.parametrize("order", range(4))
def test_rounds_do_not_depend_on_the_order_of_replies(name, order):
    """However wide: paths, candidates and their order are those of the seed."""
    chance = random.Random(order)
    plain = search(STRATEGIES[name].run, forest(), SMALL[name])
    late = search(STRATEGIES[name].run, forest(latency=lambda *_: chance.random()), SMALL[name])
    assert [c.path.text for c in late.candidates] == [c.path.text for c in plain.candidates]
    assert late.generated_tokens == plain.generated_tokens


@every
def test_the_reward_guides_the_search(name):
    """In the forest an average path is worth 0.2 + 0.12 = 0.32: guided populations do better, seed for seed."""
    found = [search(STRATEGIES[name].run, forest(), SMALL[name], seed=seed) for seed in range(10)]
    rewards = [forest_worth(c.path) for result in found for c in result.candidates]
    assert sum(rewards) / len(rewards) > 0.4


@every
@pytest.mark.parametrize("tokens", [1, 5, 20, 33, 150])
@pytest.mark.parametrize("width", [1, 64])
def test_the_token_budget_is_never_exceeded(name, tokens, width):
    """Whatever the limit, no more is generated, and something is given."""
    where = forest(latency=lambda _, number: 1.0 + number % 3)
    options = replace(SMALL[name], width=width)
    result = search(STRATEGIES[name].run, where, options, max_tokens=20, budget=Budget(tokens=tokens))
    assert 0 < result.generated_tokens == where.engine.generated_tokens <= tokens
    assert result.stop_reason is (StopReason.TOKENS if tokens < 40 else StopReason.SIMULATIONS)
    assert result.winners[0].path.finished == any(c.path.finished for c in result.candidates)


@every
def test_a_deadline_gives_the_best_so_far(name):
    """Open calls are cancelled to the instant; where nothing has ended, the best beginning is given."""
    where = forest(latency=lambda *_: 1.0)
    result = search(STRATEGIES[name].run, where, SMALL[name], budget=Budget(seconds=2.5))
    assert (result.stop_reason, result.seconds, where.engine.open_calls) == (StopReason.DEADLINE, 2.5, 0)
    assert [c.path.finished for c in result.candidates] == [False]
    with pytest.raises(NoAnswerInTime):
        search(STRATEGIES[name].run, forest(latency=lambda *_: 9.0), SMALL[name], budget=Budget(seconds=1))


@every
def test_a_failed_call_is_repeated_and_the_search_goes_on(name):
    """One failure in the middle is not even noticed in the result."""
    where = forest(failure=lambda _, number: EngineCallFailed("no") if number == 2 else None)
    assert search(STRATEGIES[name].run, where, SMALL[name]).stop_reason is StopReason.SIMULATIONS


@every
@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
def test_a_failure_is_raised_unless_there_is_an_answer(name, error):
    """With a candidate the search ends well and says why; a beginning is none."""
    run, options = STRATEGIES[name].run, SMALL[name]
    with pytest.raises(type(error)):
        search(run, forest(failure=lambda _, number: error if number else None), options)
    table = {"": ("A\n\n", "answer: 1"), "A\n\n": ("answer: 2",)}
    where = dictated(table, {"A": 0.6}, failure=lambda request, _: error if request.prefix[3:] else None)
    result = search(run, where, options)
    assert (result.stop_reason, {c.answer for c in result.candidates}) == (StopReason.FAILED, {"1"})
    assert where.engine.open_calls == 0


@every
def test_scores_that_do_not_match_are_never_papered_over(name):
    """A step mismatch is raised as it is."""
    where = forest()

    async def short(paths):
        return [PathScore(0.5)] * (len(paths) + 1)

    where.reward.score = short
    with pytest.raises(StepMismatch):
        search(STRATEGIES[name].run, where, SMALL[name])


@every
def test_a_fault_of_our_own_is_not_hidden(name):
    """An unexpected exception surfaces as itself and leaves nothing open."""
    where = forest(latency=lambda *_: 1.0, failure=lambda _, number: KeyError("bug") if number == 2 else None)
    with pytest.raises(KeyError):
        search(STRATEGIES[name].run, where, SMALL[name])
    assert where.engine.open_calls == 0


@every
def test_a_reward_is_needed(name):
    """Nothing is put in a missing reward's place."""
    where = garden()
    where.reward = None
    with pytest.raises(InvalidRequest) as refused:
        search(STRATEGIES[name].run, where, SMALL[name])
    assert refused.value.param == "search.reward"


@every
@pytest.mark.parametrize("text", ["你好\n\n世界", "🌳🌲\n\n🍂", "def f():\n\n    return 1", "no answer at all", "答案"])
def test_texts_of_all_kinds_are_searched_alike(name, text):
    """Chinese, emoji, code and texts without an answer: the best-valued path wins, its text intact."""
    where = world({}, mean_probability)
    where.engine.script = lambda _, answer: [(text, 0.7), ("other", 0.3)] if not answer else None
    result = search(STRATEGIES[name].run, where, SMALL[name])
    assert {c.path.text for c in result.candidates} <= {text, "other"}
    assert result.winners[0].answer is None
    assert result.winners[0].reward == max(c.reward for c in result.candidates)
    assert all("".join(step.text for step in c.path.steps) == c.path.text for c in result.candidates)


@every
def test_a_stop_string_ends_a_path_as_an_answer(name):
    """What a client's stop string cuts is finished text."""
    result = search(STRATEGIES[name].run, garden(), SMALL[name], sampling=Sampling(stop=("\n\n",)))
    assert {c.path.text for c in result.candidates} <= {"A", "B"}
    assert all(c.path.finished and c.path.steps[-1].finish is Finish.STOP for c in result.candidates)


@every
def test_delimiters_inside_a_step_do_not_split_it(name):
    """A client's least number of tokens may carry a call past a delimiter: an extension is one step all the same."""
    where = forest()
    sample = where.engine.sample

    async def past_delimiters(request):
        return await sample(replace(request, delimiters=(), max_tokens=min(2, request.max_tokens)))

    where.engine.sample = past_delimiters
    result = search(STRATEGIES[name].run, where, SMALL[name])
    texts = {c.path.text for c in result.candidates}
    assert all(text.count("\n\n") == 5 and "answer" in text for text in texts)
    assert all(len(c.path.steps) == 4 for c in result.candidates)  # 5 letters, an answer, the end: by twos


@every
def test_the_search_tells_its_life_and_its_calls(name):
    """Start, a count per extension, end; calls carry what reward and client need to see."""
    where = garden()
    where.reward.top_logprobs = 5
    result = search(STRATEGIES[name].run, where, SMALL[name], top_logprobs=2, search_id="s1", n=2)
    assert where.events[0] == SearchStarted(name, 32, 0.0)
    winner = result.winners[0]
    assert where.events[-1] == SearchFinished(result.stop_reason, winner.answer, winner.node, 0.0)
    assert [event.done for event in where.seen(SimulationDone)] == list(range(1, result.simulations + 1))
    assert {(request.top_logprobs, request.search_id) for request in where.engine.requests} == {(5, "s1")}
    answers = [one.answer for one in result.winners]
    assert len(set(answers)) == len(answers) == min(2, len(result.tallies))


@every
def test_searches_side_by_side_do_not_touch_each_other(name):
    """Two searches on one engine give what each gives alone."""
    run, options = STRATEGIES[name].run, SMALL[name]
    alone = [search(run, garden(), options, seed=seed) for seed in (1, 2)]
    where = garden()

    async def main():
        return await asyncio.gather(*(run(where.task(seed=seed), where.ports(), options) for seed in (1, 2)))

    both = run_virtually(main)
    assert [[c.path.text for c in r.candidates] for r in both] == [[c.path.text for c in r.candidates] for r in alone]
