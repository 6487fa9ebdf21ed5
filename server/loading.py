"""Loads what searches run on, as the settings say. Everything heavy is imported here, when it is needed."""

from __future__ import annotations

from mcts.errors import StartupError
from server.backend import Backend, Report
from server.settings import Settings

SCRIPTED_SECONDS = 0.02
"""What a call to the toy engine takes, so that its searches can be watched."""


async def load_backend(settings: Settings, report: Report) -> Backend:
    """Loads the engine that the settings name.

    Raises:
        StartupError: It does not load.
    """
    if settings.engine == "scripted":
        return load_scripted(settings, report)
    if settings.engine_url:
        from server.remote_backend import load_remote

        return await load_remote(settings, report)
    from server.vllm_backend import load_vllm

    return await load_vllm(settings, report)


def load_scripted(settings: Settings, report: Report) -> Backend:
    """The toy: adds up the numbers in the question, sometimes wrongly. For trying the API without a model."""
    from engine.scripted import ScriptedEngine
    from engine.scripted_judges import ScriptedReward
    from server.rewards import make_answers, make_rewards

    report("the scripted engine, which only adds up the numbers of a question")
    if settings.model != Settings.model_fields["model"].default:
        raise StartupError("the scripted engine loads no model; drop --model, or name it with --served-model-name")
    engine = ScriptedEngine(latency=lambda _, __: SCRIPTED_SECONDS, token_seconds=SCRIPTED_SECONDS)
    rewards = make_rewards(settings, engine.tokenizer, ScriptedReward())
    return Backend(
        engine, engine.tokenizer, make_answers(settings), rewards, max_model_len=settings.max_model_len or 8192
    )
