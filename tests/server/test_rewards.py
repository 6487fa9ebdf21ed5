"""The rewards of a server: what the operator adds, what requests can name, what they cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from engine.scripted_language import ScriptedTokenizer, default_script
from mcts.errors import InvalidRequest, StartupError
from reward.registry import pick_reward
from server.engine_statistics import EngineStatistics
from server.loading import load_scripted
from server.plans import make_plan
from server.presets import PRESETS, served_presets
from server.rewards import check_rewards, make_answers, make_rewards, read_weights
from server.vllm_backend import _backend, check_models
from tests.server.service import backend, serving, settings

BEST_OF_N = next(preset for preset in PRESETS if preset.name == "best-of-n-judge")


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An operator's module with one reward: the right sum of the test's question."""
    module = ModuleType("own_rewards")
    module.right = lambda _, answer: 1.0 if "{42}" in answer else 0.1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_rewards", module)
    return module


def rewards(process: Any = None, **changes: Any) -> dict[str, Any]:
    """The rewards under these settings."""
    return make_rewards(settings(**changes), ScriptedTokenizer(), process)


def test_every_server_has_the_rewards_that_need_no_further_model() -> None:
    """Confidence, rules, judge and self-evaluation; prm only where one is loaded."""
    assert {"confidence", "boxed_form", "tags_form", "judge", "self_evaluation"} <= set(rewards())
    assert "prm" not in rewards()
    with pytest.raises(InvalidRequest, match="needs a process reward model"):
        pick_reward(rewards(), "prm")
    with pytest.raises(InvalidRequest, match="needs an outcome reward model"):
        pick_reward(rewards(), "orm")
    assert "prm" in rewards(ScriptedReward())
    assert "best-of-n-judge" in served_presets(rewards())


def test_the_settings_say_how_answers_are_found() -> None:
    """By default the shipped rules; a pattern comes first; "none" makes every text free text."""
    text = r"RESULT=7, so \boxed{4}"
    assert make_answers(settings()).extract(text) == "4"
    assert make_answers(settings(answer_pattern=r"RESULT=(\d)")).extract(text) == "7"
    assert make_answers(settings(answer_pattern=r"RESULT=(\d)", answer_rules="boxed, pattern")).extract(text) == "4"
    assert make_answers(settings(answer_rules="none")).extract(text) is None
    named = make_answers(settings(answer_rules=("json",), answer_json_field="sum"))
    assert named.extract('{"sum": 9}') == "9"
    with pytest.raises(StartupError, match="Unknown answer rule 'none'"):
        make_answers(settings(answer_rules="none,boxed"))


def test_mixtures_are_written_as_terms_or_as_a_mapping() -> None:
    """A missing weight is 1."""
    assert read_weights("x", "prm*0.7+confidence*0.3") == {"prm": 0.7, "confidence": 0.3}
    assert read_weights("x", " prm + confidence * 2 ") == {"prm": 1, "confidence": 2}
    assert read_weights("x", {"prm": 0.5}) == {"prm": 0.5}


@pytest.mark.parametrize("mixture", ["", "prm*", "prm*x", "prm*nan", "prm*1+prm*2", {}, {"prm": None}, 3])
def test_mixtures_without_meaning_stop_the_start(mixture: Any) -> None:
    """Each reward once, each weight a number."""
    with pytest.raises(StartupError, match="'mine'"):
        rewards(ScriptedReward(), reward_mix={"mine": mixture})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward_mix": {"mine": "prm+entropy"}}, "'mine' combines 'prm', which this server does not have"),
        ({"reward_mix": {"mine": "entropy*-1+tail*2"}}, "must be above 0"),
        ({"reward_mix": {"judge": "entropy"}}, "a reward 'judge' already"),
        ({"reward_function": {"Mine!": "own_rewards:right"}}, "name 'Mine!' must be"),
        ({"reward_function": {"mine": "own_rewards:wrong"}}, "cannot be loaded"),
        ({"reward_json_schema": "/no/such/file"}, "cannot be read as JSON"),
    ],
)
def test_what_cannot_work_stops_the_start(changes: dict[str, Any], message: str) -> None:
    """Found out before the first request, with the name of what is wrong."""
    with pytest.raises(StartupError, match=message):
        rewards(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"reward_mix": {"mine": "prm*x"}},
        {"reward_function": {"mine": "own_rewards:wrong"}},
        {"reward_json_schema": "/no/such/file"},
        {"answer_pattern": "("},
    ],
)
def test_what_needs_no_model_is_looked_at_before_models_load(changes: dict[str, Any]) -> None:
    """Nobody waits for weights to be told of a misspelt name."""
    with pytest.raises(StartupError):
        check_rewards(settings(**changes))
    check_rewards(settings(reward_mix={"mine": "prm*2"}, reward_function={"right": "own_rewards:right"}))


def test_reward_models_are_checked_by_their_convention(tiny_models: tuple[Path, Path]) -> None:
    """A language model is a reward model where the settings say how it is asked, and refused where nobody does."""
    lm, prm = map(str, tiny_models)
    check_models(settings(model=lm, reward_model=prm))
    check_models(settings(model=lm, reward_model=lm, reward_convention="generative"))
    check_models(settings(model=lm, reward_model="RLHFlow/Llama3.1-8B-PRM-Deepseek-Data"))
    with pytest.raises(StartupError, match=r"is not supported\. Supported: qwen-math"):
        check_models(settings(model=lm, reward_model=lm))
    with pytest.raises(StartupError, match="scores text and generates none"):
        check_models(settings(model=lm, reward_model=prm, reward_convention="generative"))
    with pytest.raises(StartupError, match="is no reward model"):
        check_models(settings(model=lm, reward_model=lm, reward_convention="qwen-math"))
    with pytest.raises(StartupError, match="'magic' is not supported"):
        check_models(settings(model=lm, reward_model=prm, reward_convention="magic"))


def test_outcome_models_are_checked_before_they_load(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    """One label, and settings that mean something to it; a process reward model has no raw logits to center."""
    lm, prm = map(str, tiny_models)
    folder = tmp_path / "orm"
    folder.mkdir()
    described = {"architectures": ["Qwen2ForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (folder / "config.json").write_text(json.dumps(described))
    check_models(settings(model=lm, reward_model=str(folder), reward_center=3.0, reward_scale=2.0))
    with pytest.raises(StartupError, match="drop reward_aggregate"):
        check_models(settings(model=lm, reward_model=str(folder), reward_aggregate="min"))
    with pytest.raises(StartupError, match="drop reward_center"):
        check_models(settings(model=lm, reward_model=prm, reward_scale=2.0))
    (folder / "config.json").write_text(json.dumps(described | {"id2label": {"0": "bad", "1": "good"}}))
    with pytest.raises(StartupError, match="has 2 labels"):
        check_models(settings(model=lm, reward_model=str(folder)))


def test_functions_schema_and_mixtures_of_them(tmp_path: Path) -> None:
    """A mixture may hold the operator's own rewards, which are loaded before it, and mixtures written before it."""
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object"}))
    made = rewards(
        reward_function={"right": "own_rewards:right"},
        reward_json_schema=str(schema),
        reward_mix={"first": "right*3+json_schema", "second": {"first": 1, "confidence": 2}},
    )
    assert made["second"].top_logprobs == 5
    assert list(made)[-4:] == ["json_schema", "right", "first", "second"]


@pytest.mark.parametrize("name", ["prm", "orm"])
def test_a_mixture_may_hold_the_loaded_reward_model(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A real server makes its rewards once, with the reward model among them; without one there is no such part."""
    loaded = SimpleNamespace(name=name, reward=ScriptedReward)
    monkeypatch.setattr("server.vllm_backend._loaded", lambda *_: loaded)
    chosen = settings(reward_mix={"mix": f"{name}*0.7+confidence*0.3"})
    model_config = SimpleNamespace(get_diff_sampling_param=dict)
    info = SimpleNamespace(max_model_len=64, vocab_size=256)
    process = SimpleNamespace(llm=SimpleNamespace(model_config=model_config))
    writer = SimpleNamespace(tokenizer=ScriptedTokenizer(), info=info, process=process)
    pair: Any = SimpleNamespace(generation=writer, reward=SimpleNamespace(info=info), close=None)
    assert {name, "mix"} <= set(_backend(pair, chosen, EngineStatistics()).rewards)
    pair.reward = None
    with pytest.raises(StartupError, match=f"combines '{name}', which this server does not have"):
        _backend(pair, chosen, EngineStatistics())


def test_what_a_judge_writes_counts_towards_the_largest_search() -> None:
    """Each of 8 samples may take 100 tokens and be judged twice with 3 votes of 64 tokens: 8 · (100 + 2 · 3 · 64)."""
    chosen = settings(judge_votes=3, judge_max_tokens=64, default_samples=8)
    where = backend(ScriptedEngine(), rewards=make_rewards(chosen, ScriptedTokenizer(), None))
    assert make_plan(None, BEST_OF_N, None, chosen, where).most_tokens(100, 1) == 8 * (100 + 2 * 3 * 64)
    plain = next(preset for preset in PRESETS if preset.name == "best-of-n")
    assert make_plan(None, plain, None, chosen, where).most_tokens(100, 1) == 800


async def test_a_request_names_the_operators_reward(own: ModuleType) -> None:
    """The toy adds up: the function knows the right sum, so its answer wins; half of it is the mixture's."""
    chosen = {"reward_function": {"right": "own_rewards:right"}, "reward_mix": {"half": "right+boxed_form"}}
    made = load_scripted(settings(**chosen), lambda _: None)
    async with serving(made=made, **chosen) as service:
        search = {"strategy": "best_of_n", "samples": 8, "reward": "right"}
        reply = await service.answer(search=search, seed=1)
        assert "\\boxed{42}" in reply["choices"][0]["message"]["content"]
        assert (reply["search"]["reward"], reply["search"]["value"]) == ("right", 1.0)
        reply = await service.answer(search={**search, "reward": "half"}, seed=1)
        assert reply["search"]["value"] == pytest.approx(1.0)
        error = await service.refusal(search={**search, "reward": "magic"})
        assert "right" in error["message"]


async def test_a_judged_search_reports_all_that_was_written() -> None:
    """Over HTTP: the judge's words are in the usage, its grade is the value."""

    def judging(prompt: str, answer: str) -> Any:
        if "[Answer]" not in prompt:
            return default_script(prompt, answer)
        if answer:
            return [("", 1.0)] if answer[-1].isdigit() else None
        return [("Good.\nScore: 9" if "{42}" in prompt else "Bad.\nScore: 1", 1.0)]

    engine = ScriptedEngine(judging)
    async with serving(engine) as service:
        reply = await service.answer(search={"strategy": "best_of_n", "samples": 6, "reward": "judge"}, seed=1)
    assert reply["search"]["value"] == 0.9
    assert "\\boxed{42}" in reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == engine.generated_tokens
    assert reply["search"]["engine_calls"] == engine.calls == 6 + reply["search"]["reward_calls"]
