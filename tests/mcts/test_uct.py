"""UCT on toy languages whose visits and values are worked out by hand."""

import asyncio

import pytest

from engine.scripted_judges import mean_probability
from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, InvalidRequest, NoAnswerInTime, RewardCallFailed, StepMismatch
from mcts.events import Collision, EngineCalled, NodeAdded, PathScored, SearchFinished, SearchStarted, SimulationDone
from mcts.ports import Finish, PathScore, Sampling
from mcts.search import Search
from mcts.steps import StepRule
from mcts.strategies import UctOptions
from mcts.strategies.direct import DirectOptions, direct
from mcts.strategies.expansion import branches
from mcts.strategies.growth import Growth
from mcts.strategies.sampling import SamplingOptions, sample_and_vote
from mcts.strategies.uct import uct
from mcts.tree import Tree
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import answers, forest, forest_worth, garden, search, world, worth_of

FORK = {"": [("A\n\n", 0.7), ("B\n\n", 0.3)]} | answers(("A\n\n", "answer: 1"), ("B\n\n", "answer: 2"))
FORK_WORTH = worth_of({"1": 0.25, "2": 0.5})


CERTAIN = {"": [("A\n\n", 1.0)]} | answers(("A\n\n", "answer: 1"))


def test_one_certain_path_takes_one_simulation():
    """Four equal rollouts merge into one line of four visits, open it to its end for free, and nothing is left."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    result = search(uct, where, UctOptions(width=1, widening=0))
    assert outline(replayed(where.events)) == [". 4 2", " A 4 2", "  answer: 1 4 2"]
    assert (result.stop_reason, result.simulations, result.engine_calls) == (StopReason.EXHAUSTED, 1, 1)
    assert (result.nodes, result.depth, result.generated_tokens) == (3, 2, 12)  # four rollouts of three tokens
    assert (result.winners[0].answer, result.winners[0].visits, result.winners[0].node) == ("1", 4, 2)
    assert result.tallies[0].weight == 2.0  # four candidates of 0.5 each


def test_nodes_are_told_with_the_tokens_of_their_step():
    """The steps of the nodes from the root to the winner's are the winner's path; the root has none."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    result = search(uct, where, UctOptions(width=1, widening=0))
    root, *nodes = where.seen(NodeAdded)
    assert root.steps == ()
    assert [step.token_ids for node in nodes for step in node.steps] == [
        step.token_ids for step in result.winners[0].path.steps
    ]


def test_an_exhausted_tree_is_widened_at_the_root_until_nothing_new_comes():
    """With widening the root gets another four rollouts, three times; they bring nothing new, so that is the end."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    result = search(uct, where, UctOptions(width=1))
    assert outline(replayed(where.events)) == [". 16 8", " A 16 8", "  answer: 1 16 8"]
    assert (result.stop_reason, result.simulations, result.engine_calls) == (StopReason.EXHAUSTED, 4, 4)
    assert len({request.seed for request in where.engine.requests}) == 4


def test_nodes_visited_often_are_widened():
    """With exponent 0.5 and two branches the root draws 2, then 2 more at 4 x 2 and 9 x 2 visits."""
    where = forest()
    search(uct, where, UctOptions(width=1, branch=2, widening=0.5), budget=Budget(simulations=20))
    visits, drawn_at_root, at = 0, 0, []
    for request in where.engine.requests:
        if len(request.prefix) == len(where.prompt.token_ids):
            drawn_at_root += request.n
            at.append(visits)
        visits += request.n
    assert at[:3] == [0, 8, 18]
    assert drawn_at_root == 2 * len(at)


def test_top_tokens_starts_a_branch_from_each_of_the_likeliest():
    """With two tokens possible both branches exist after one simulation, each with one visit."""
    where = world(FORK, FORK_WORTH)
    options = UctOptions(width=1, branch=2, expansion="top_tokens")
    result = search(uct, where, options, budget=Budget(simulations=1))
    # One call ranks the tokens; each branch is a call for its first token and one for the rest: 1 + 2 x 2 = 5 calls,
    # 1 + 2 x (1 + 2) = 7 tokens. W of the root: 0.25 + 0.5.
    assert outline(replayed(where.events)) == [". 2 0.75", " A 1 0.25", " B 1 0.5"]
    assert (result.engine_calls, result.generated_tokens) == (5, 7)
    first = result.candidates[0].path.steps[0]
    assert (first.text, len(first.token_ids)) == ("A\n\n", 1)
    assert first.logprobs[0] == pytest.approx(-0.356675, abs=1e-6)  # ln 0.7: the forced token keeps its own likelihood


def test_kept_rollouts_count_towards_the_branches_of_top_tokens():
    """A leaf whose only next token starts a kept rollout already is expanded without another branch."""
    where = world(FORK, FORK_WORTH)
    result = search(uct, where, UctOptions(width=1, branch=2, expansion="top_tokens", widening=0))
    # Simulation 2 takes B (rescaled 1 against A's 0 at equal bonus), 3 takes A: one ranking call each, no new branch.
    assert outline(replayed(where.events)) == [
        ". 2 0.75",
        " A 1 0.25",
        "  answer: 1 1 0.25",
        " B 1 0.5",
        "  answer: 2 1 0.5",
    ]
    assert (result.simulations, result.engine_calls, result.stop_reason) == (3, 7, StopReason.EXHAUSTED)


def test_only_the_missing_branches_are_sampled():
    """A leaf with kept rollouts asks for ``branch`` less those."""
    where = garden()
    search(uct, where, UctOptions(width=1, branch=4), budget=Budget(simulations=2))
    first, second = where.engine.requests
    root, leaf = replayed(where.events), None
    leaf = next(child for child in root["children"] if child["children"])
    kept = 4 - second.n
    assert (first.n, root["visits"]) == (4, 4 + second.n)
    assert leaf["visits"] == kept + second.n == 4
    assert sum(child["visits"] for child in leaf["children"]) == 4


@pytest.mark.parametrize("rollout", ["full", "none"])
def test_a_tight_token_budget_still_gives_every_branch(rollout):
    """Four rollouts of at most 10 tokens do not fit 35 at once, one after the other they do: each really takes 3.

    First 3 continuations fit 35 (9 tokens used), then the last fits the 26 left. Single steps take 1 token each.
    """
    where = world(CERTAIN, worth_of({"1": 0.5}))
    options = UctOptions(width=1, branch=4, rollout=rollout)
    result = search(uct, where, options, max_tokens=10, budget=Budget(simulations=1, tokens=35))
    assert [request.n for request in where.engine.requests] == [3, 1]
    assert len({request.seed for request in where.engine.requests}) == 2
    assert (replayed(where.events)["visits"], result.generated_tokens) == (4, 12 if rollout == "full" else 4)


async def test_only_what_was_drawn_counts_as_drawn():
    """Where the budget ends after 3 of 4 continuations, the leaf has drawn 3."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    task = where.task(max_tokens=3, budget=Budget(tokens=9))
    found = Search(task, where.ports(), "test")
    growth = Growth(found, Tree(32, 3), UctOptions(width=1, branch=4))
    drawn = await branches(growth, growth.tree.root, 4)
    assert (len(drawn), growth.tree.root.drawn) == (3, 3)


def test_search_finds_what_greedy_misses_and_sampling_seldom_finds():
    """In the forest the best path has probability 0.4^5 x 0.3 = 0.3 %; greedy takes the worst one.

    UCT's finds must be better than those of as many tokens spent on independent samples.
    """
    greedy = search(direct, forest(), DirectOptions(), sampling=Sampling(temperature=0))
    assert forest_worth(greedy.winners[0].path) == 0
    options = UctOptions(width=1, exploration=0.3, vote="max_value")
    trees = [search(uct, forest(), options, seed=seed, budget=Budget(simulations=40)) for seed in range(8)]
    spent = sum(result.generated_tokens for result in trees) / 8
    samples = SamplingOptions(samples=round(spent / 7), vote="max_value")  # an answer of the forest has seven tokens
    lists = [search(sample_and_vote, forest(), samples, seed=seed) for seed in range(8)]
    assert sum(result.winners[0].reward for result in trees) > sum(result.winners[0].reward for result in lists)
    assert sum(result.winners[0].reward == pytest.approx(0.9) for result in trees) >= 5


@pytest.mark.parametrize("tokens", [1, 2, 32])
def test_mini_steps_are_the_same_search_with_another_rule(tokens):
    """Only the step rule differs; edges have that many tokens, and texts are intact."""
    where = garden()
    result = search(uct, where, UctOptions(width=1, step=StepRule(tokens=tokens)), budget=Budget(simulations=6))
    assert result.winners[0].answer in {"1", "3", "4"}
    assert all(len(step.token_ids) <= tokens + 1 for c in result.candidates for step in c.path.steps)
    assert {c.path.text for c in result.candidates} <= {"A\n\nanswer: 1", "B\n\nC\n\nanswer: 3", "B\n\nD\n\nanswer: 4"}


def test_without_rollouts_a_step_is_generated_and_valued():
    """``rollout: none`` asks for single steps and scores beginnings; finished ones become candidates."""
    where = world(FORK, lambda path: {"A": 0.25, "B": 0.75}[path.text[0]])
    options = UctOptions(width=1, branch=2, rollout="none", expansion="top_tokens")
    result = search(uct, where, options)
    # 1: A and B, one token each, valued 0.25 and 0.75. 2: B's only next token, its answer. 3: A's.
    assert outline(replayed(where.events)) == [
        ". 4 2",
        " A 2 0.5",
        "  answer: 1 1 0.25",
        " B 2 1.5",
        "  answer: 2 1 0.75",
    ]
    assert [event.finished for event in where.seen(PathScored)] == [False, False, True, True]
    assert [c.answer for c in result.candidates] == ["2", "1"]
    assert result.stop_reason is StopReason.EXHAUSTED


def test_without_rollouts_the_best_beginning_must_do_under_a_tight_budget():
    """Where nothing was finished the best-valued leaf is given, marked as unfinished."""
    where = world(FORK, lambda path: {"A": 0.25, "B": 0.75}[path.text[0]])
    options = UctOptions(width=1, branch=2, rollout="none", expansion="top_tokens")
    result = search(uct, where, options, budget=Budget(simulations=1))
    assert (result.winners[0].path.text, result.winners[0].path.finished) == ("B\n\n", False)


def test_a_blank_step_is_continued_until_it_says_something():
    """A step call that stops at a leading blank line goes on: no node without visible text."""
    table = {"": [("\n\n", 1.0)], "\n\n": [("A\n\n", 1.0)]} | answers(("\n\nA\n\n", "answer: 1"))
    where = world(table, lambda _: 0.5)
    result = search(uct, where, UctOptions(width=1, branch=1, rollout="none"))
    assert [step.text for step in result.winners[0].path.steps] == ["\n\nA\n\n", "answer: 1"]


def test_siblings_that_begin_blank_go_on_in_their_own_ways():
    """Each of 4 branches begins with a blank line, whose continuation is a call with a seed of its own; so for more."""
    where = world({"": [("\n\n", 1.0)], "\n\n": [("A", 0.5), ("B", 0.5)]}, lambda _: 0.5)
    result = search(uct, where, UctOptions(width=1, branch=4, rollout="none"), budget=Budget(simulations=2))
    asked = [request for request in where.engine.requests if len(request.prefix) > len(where.prompt.token_ids)]
    assert result.simulations == 2  # both steps are whole answers, so the second simulation widens the root
    assert len({request.seed for request in asked}) == len(asked) == 8


def test_a_text_of_blanks_only_ends_the_search_without_an_answer():
    """A model that writes nothing but blank lines is given up, not asked for ever."""
    where = world({"": [("\n\n", 1.0)]}, lambda _: 0.5)
    where.engine.script = lambda _, __: [("\n\n", 1.0)]
    with pytest.raises(NoAnswerInTime):
        search(uct, where, UctOptions(width=2, branch=2, rollout="none"))
    assert where.engine.calls == 20  # one set and three more, of one call and two further ones for each of 2 branches


def test_rollouts_cut_short_win_only_where_nothing_is_finished():
    """The path's token limit cuts every text but one: the finished one wins though it is worth less."""
    table = {"": [("L\n\n", 0.5), ("S\n\n", 0.5)], "L\n\n": [("M\n\n", 1.0)], "L\n\nM\n\n": [("answer: 9", 1.0)]}
    table |= answers(("S\n\n", "answer: 1"))
    where = world(table, lambda path: 0.1 if path.finished else 0.9)
    result = search(uct, where, UctOptions(width=1, branch=2, expansion="top_tokens"), max_tokens=3)
    assert (result.winners[0].answer, result.winners[0].path.finished) == ("1", True)
    assert {c.path.finished for c in result.candidates} == {True, False}


def test_the_depth_limit_bounds_the_tree_not_the_rollouts():
    """Nothing grows beyond max_depth, and answers of rollouts that went further still count."""
    where = forest()
    result = search(uct, where, UctOptions(width=1, max_depth=2, branch=2))
    assert (result.depth, result.stop_reason) == (2, StopReason.EXHAUSTED)
    assert all(c.path.finished and len(c.path.steps) == 6 for c in result.candidates)


def test_a_prior_guides_puct():
    """PUCT goes for the likelier child first when values are equal."""
    where = world(FORK, lambda _: 0.5)
    options = UctOptions(width=1, branch=2, expansion="top_tokens", selection="puct")
    search(uct, where, options, budget=Budget(simulations=2))
    root = replayed(where.events)
    assert [len(child["children"]) for child in root["children"]] == [1, 0]


def test_width_keeps_that_many_calls_open():
    """Eight simulations run side by side as soon as the tree has eight leaves, and never more."""
    where = forest(latency=lambda *_: 1.0)
    most = 0

    def watch(_):
        nonlocal most
        most = max(most, where.engine.open_calls)

    async def main():
        return await uct(where.task(budget=Budget(simulations=40)), where.ports(watch), UctOptions(width=4, branch=3))

    result = run_virtually(main)
    assert 3 <= most <= 4
    assert result.simulations == 40
    assert result.seconds < 40 / 2  # alone it would have taken 40
    assert len(where.seen(Collision)) >= 3  # at first there is only the root to grow


def test_a_slow_rollout_holds_up_nobody():
    """No barrier: while one call takes for ever the others get on with the simulations."""
    where = forest(latency=lambda _, number: 1000.0 if number == 1 else 1.0)
    result = search(uct, where, UctOptions(width=3, branch=3), budget=Budget(simulations=20, seconds=100))
    assert result.simulations == 19
    assert (result.stop_reason, result.seconds) == (StopReason.DEADLINE, 100.0)
    assert where.engine.aborted_calls == 1


def test_the_deadline_is_met_to_the_instant():
    """Open calls are cancelled at the deadline and the best answer so far is given."""
    where = forest(latency=lambda *_: 1.0)
    result = search(uct, where, UctOptions(width=4), budget=Budget(simulations=None, seconds=3.25))
    assert (result.stop_reason, result.seconds) == (StopReason.DEADLINE, 3.25)
    assert result.winners
    assert where.engine.open_calls == 0


@pytest.mark.parametrize("rollout", ["full", "none"])
def test_finished_answers_are_given_though_their_scores_are_late(rollout):
    """The score of the step A comes (single steps), that of the answer does not: it is better than a beginning."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    where.reward.latency = lambda number: 0.0 if rollout == "none" and number == 0 else 9.0
    options = UctOptions(width=1, branch=1, rollout=rollout)
    result = search(uct, where, options, budget=Budget(seconds=1))
    (winner,) = result.winners
    assert (winner.answer, winner.reward, winner.path.finished) == ("1", None, True)
    assert (winner.node, result.stop_reason) == (1 if rollout == "none" else 0, StopReason.DEADLINE)


def test_a_deadline_before_any_answer_is_an_error():
    """Nothing found in time is said so, not papered over."""
    where = forest(latency=lambda *_: 9.0)
    with pytest.raises(NoAnswerInTime):
        search(uct, where, UctOptions(), budget=Budget(seconds=1))
    assert where.seen(SearchFinished)[-1].stop_reason is StopReason.DEADLINE


@pytest.mark.parametrize("tokens", [1, 5, 20, 33, 150])
@pytest.mark.parametrize("width", [1, 4])
def test_the_token_budget_is_never_exceeded(tokens, width):
    """Whatever the limit, no more is generated, and something is given."""
    where = forest(latency=lambda _, number: 1.0 + number % 3)
    options = UctOptions(width=width, branch=3)
    result = search(uct, where, options, max_tokens=20, budget=Budget(simulations=None, tokens=tokens))
    assert 0 < result.generated_tokens <= tokens
    assert result.generated_tokens == where.engine.generated_tokens
    assert result.stop_reason is StopReason.TOKENS
    assert result.winners[0].path.finished == any(c.path.finished for c in result.candidates)


def test_a_last_simulation_that_the_token_budget_cuts_is_told():
    """One rollout of 3 tokens with room for 2: all simulations were done, but not as they would have been."""
    where = world(CERTAIN, worth_of({"1": 0.5}))
    options = UctOptions(width=1, branch=1)
    result = search(uct, where, options, max_tokens=3, budget=Budget(simulations=1, tokens=2))
    assert (result.simulations, result.stop_reason) == (1, StopReason.TOKENS)


def test_a_failed_call_is_repeated_and_the_search_goes_on():
    """One failure in the middle is not even noticed in the result."""
    where = forest(failure=lambda _, number: EngineCallFailed("no") if number == 2 else None)
    result = search(uct, where, UctOptions(width=1), budget=Budget(simulations=5))
    assert (result.stop_reason, result.simulations) == (StopReason.SIMULATIONS, 5)
    assert [event.failed for event in where.seen(EngineCalled)].count("EngineCallFailed") == 1


@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
@pytest.mark.parametrize("width", [1, 4])
def test_an_engine_that_stays_broken_gives_the_best_so_far(error, width):
    """With a candidate the search ends well and says why; without one the error is raised."""
    where = forest(latency=lambda *_: 1.0, failure=lambda _, number: error if number > 3 else None)
    result = search(uct, where, UctOptions(width=width, branch=3))
    assert result.stop_reason is StopReason.FAILED
    assert result.winners[0].path.finished
    assert where.engine.open_calls == 0
    where = forest(failure=lambda *_: error)
    with pytest.raises(type(error)):
        search(uct, where, UctOptions(width=width))
    assert where.seen(SearchFinished)[-1].stop_reason is StopReason.FAILED


def test_a_reward_that_fails_ends_the_search_like_an_engine():
    """A reward call is repeated once; a broken reward gives the best so far."""
    where = forest()
    where.reward.failure = lambda number: RewardCallFailed("no") if number in {1, 4, 5} else None
    result = search(uct, where, UctOptions(width=1))
    assert (result.stop_reason, result.simulations) == (StopReason.FAILED, 3)


def test_scores_that_do_not_match_are_never_papered_over():
    """A step mismatch before any candidate is raised as it is."""
    where = forest()

    async def short(paths):
        return [PathScore(0.5)] * (len(paths) + 1)

    where.reward.score = short
    with pytest.raises(StepMismatch):
        search(uct, where, UctOptions())


def test_a_fault_of_our_own_is_not_hidden():
    """An unexpected exception surfaces as itself, not as a group, and leaves nothing open."""
    where = forest(latency=lambda *_: 1.0, failure=lambda _, number: KeyError("bug") if number == 3 else None)
    with pytest.raises(KeyError):
        search(uct, where, UctOptions(width=4, branch=3))
    assert where.engine.open_calls == 0


def test_a_failing_observer_changes_nothing():
    """An observer that raises is dropped; the search and the other observers go on."""
    where = garden()

    def fail(_):
        raise ValueError("observer")

    async def main():
        return await uct(where.task(), where.ports(fail), UctOptions(width=1))

    result = run_virtually(main)
    assert result.winners[0].answer == search(uct, garden(), UctOptions(width=1)).winners[0].answer
    assert where.seen(SearchFinished)


def test_a_search_tells_its_life():
    """The first event is the start, the last the end; every simulation is told with the leader."""
    where = garden()
    result = search(uct, where, UctOptions(width=1), budget=Budget(simulations=3))
    assert where.events[0] == SearchStarted("uct", 3, 0.0)
    assert where.events[-1] == SearchFinished(result.stop_reason, result.winners[0].answer, result.winners[0].node, 0.0)
    assert [event.done for event in where.seen(SimulationDone)] == list(range(1, result.simulations + 1))


def test_the_engine_is_asked_for_what_reward_and_client_need():
    """Alternatives per token are the larger of both wants; the search's name goes with every call."""
    where = garden()
    where.reward.top_logprobs = 5
    search(uct, where, UctOptions(width=1), top_logprobs=2, search_id="s1")
    assert {(request.top_logprobs, request.search_id) for request in where.engine.requests} == {(5, "s1")}


def test_uct_needs_a_reward():
    """Nothing is put in a missing reward's place."""
    where = garden()
    where.reward = None
    with pytest.raises(InvalidRequest) as refused:
        search(uct, where, UctOptions())
    assert refused.value.param == "search.reward"


def test_n_gives_distinct_answers():
    """The n best answers are distinct and ordered by the vote."""
    result = search(uct, garden(), UctOptions(width=1, branch=8), n=3)
    found = [winner.answer for winner in result.winners]
    assert len(set(found)) == len(found) == min(3, len(result.tallies))
    assert found == [tally.answer for tally in result.tallies][: len(found)]


def test_a_stop_string_ends_a_path_as_an_answer():
    """What a client's stop string cuts is finished text."""
    where = garden()
    result = search(uct, where, UctOptions(width=1), sampling=Sampling(stop=("\n\n",)))
    assert {c.path.text for c in result.candidates} <= {"A", "B"}
    assert all(c.path.finished and c.path.steps[-1].finish is Finish.STOP for c in result.candidates)


@pytest.mark.parametrize("text", ["你好\n\n世界", "🌳🌲\n\n🍂", "def f():\n\n    return 1", "no answer at all"])
def test_texts_of_all_kinds_are_searched_alike(text):
    """Chinese, emoji, code and texts without an answer: the best-valued path wins."""
    where = world({}, mean_probability)
    where.engine.script = lambda _, answer: [(text, 0.7), ("other", 0.3)] if not answer else None
    result = search(uct, where, UctOptions(width=1, branch=2, expansion="top_tokens"))
    assert result.winners[0].answer is None
    assert result.winners[0].path.text in {text, "other"}
    assert result.winners[0].reward == max(c.reward for c in result.candidates)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"width": 0}, "search.width"),
        ({"branch": 21}, "search.branch"),
        ({"max_depth": 0}, "search.max_depth"),
        ({"exploration": -1}, "search.exploration"),
        ({"exploration": float("nan")}, "search.exploration"),
        ({"selection": "best"}, "search.selection"),
        ({"rollout": "half"}, "search.rollout"),
        ({"expansion": "all"}, "search.expansion"),
        ({"vote": "loudest"}, "search.vote"),
        ({"joint": False, "rollout": "none"}, "search.rollout"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        UctOptions(**fields)
    assert refused.value.param == param


def test_searches_side_by_side_do_not_touch_each_other():
    """Two searches on one engine give what each gives alone."""
    alone = [search(uct, garden(), UctOptions(width=1), seed=seed) for seed in (1, 2)]
    where = garden()

    async def main():
        ports = where.ports()
        return await asyncio.gather(*(uct(where.task(seed=seed), ports, UctOptions(width=1)) for seed in (1, 2)))

    both = run_virtually(main)
    assert [r.generated_tokens for r in both] == [r.generated_tokens for r in alone]
    assert [[c.path.text for c in r.candidates] for r in both] == [[c.path.text for c in r.candidates] for r in alone]


def test_a_failure_with_beginnings_only_is_raised():
    """A step that was valued is no answer: a broken engine's error is not hidden behind it."""
    where = forest(failure=lambda _, number: EngineDead("gone") if number else None)
    with pytest.raises(EngineDead):
        search(uct, where, UctOptions(rollout="none"))


def test_top_tokens_starts_no_branch_with_what_the_client_rules_out():
    """Banned tokens and tokens outside the allowed ones are not forced upon the model."""
    where = world(FORK, FORK_WORTH)
    (banned,) = where.engine.tokenizer.encode("A\n\n")
    options = UctOptions(width=1, branch=2, expansion="top_tokens")
    sampling = Sampling(logit_bias={banned: -100})
    result = search(uct, where, options, budget=Budget(simulations=1), sampling=sampling)
    assert [c.answer for c in result.candidates] == ["2"]


def test_the_least_number_of_tokens_is_that_of_the_whole_path():
    """A call that continues a path asks for what is still missing, not for the whole number again."""
    where = forest()
    search(uct, where, UctOptions(width=1, rollout="none"), sampling=Sampling(min_tokens=3))
    start = len(where.prompt.token_ids)
    asked = {(len(request.prefix) - start, request.sampling.min_tokens) for request in where.engine.requests}
    assert {(0, 3), (1, 2), (2, 1), (3, 0)} <= asked
