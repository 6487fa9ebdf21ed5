"""What an operator reads when an engine does not start."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.model_folder import check_one_label, check_runner, read_card
from engine.pair import make_engines
from engine.pooling import OutcomeEngine, TagEngine
from engine.settings import EngineSettings
from engine.startup_errors import explain
from engine.vllm_arguments import engine_arguments
from engine.vllm_engine import VllmEngine
from engine.vllm_process import VllmProcess
from mcts.errors import NotReady, StartupError
from tests.engine.tiny_rewards import make_orm


def test_missing_folder_is_found_before_vllm_is_imported(tmp_path: Path) -> None:
    """A wrong path costs no import of vLLM and gives one line."""
    script = (
        "import sys; from engine.vllm_engine import VllmEngine; from engine.settings import EngineSettings\n"
        f"try: VllmEngine(EngineSettings({str(tmp_path / 'nowhere')!r}))\n"
        "except Exception as error: print(type(error).__name__, error, 'vllm' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == f"StartupError There is no model folder at {str(tmp_path / 'nowhere')!r}. False\n"


def test_folder_without_config_is_no_model(tmp_path: Path) -> None:
    """A folder that is none of a model says what it lacks."""
    with pytest.raises(StartupError, match=r"holds no config\.json"):
        read_card(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(StartupError, match="cannot be read"):
        read_card(str(tmp_path))


def test_wrong_architecture_is_told_from_config(tiny_models: tuple[Path, Path]) -> None:
    """A reward model does not generate, a language model does not score; both are told before anything is loaded."""
    lm, prm = (str(folder) for folder in tiny_models)
    with pytest.raises(StartupError, match="Qwen2ForProcessRewardModel: it scores text"):
        VllmEngine(EngineSettings(prm))
    with pytest.raises(StartupError, match="Qwen2ForCausalLM: it generates text"):
        TagEngine(EngineSettings(lm), "<extra_0>")
    with pytest.raises(StartupError, match="no token '<no tag>'"):
        TagEngine(EngineSettings(prm), "<no tag>")


def test_hub_ids_are_not_taken_for_folders() -> None:
    """``owner/name`` that is no folder is a hub id; its architecture is checked later, by vLLM."""
    card = read_card("Qwen/Qwen2.5-7B-Instruct")
    assert not card.local
    check_runner(card, "generate")


def test_generation_config_adds_ends_of_sequence(tmp_path: Path) -> None:
    """All end-of-sequence tokens of both files count."""
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["X"], "eos_token_id": 1, "dtype": "float32"}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2]}))
    card = read_card(str(tmp_path))
    assert (card.eos_ids, card.dtype, card.architecture) == ({1, 2}, "float32", "X")


def test_ends_of_sequence_of_a_hub_model_come_from_vllm() -> None:
    """Nothing is known of it before it is loaded; then the tokenizer and both configurations count."""
    config = SimpleNamespace(
        architecture="X",
        max_model_len=8,
        get_vocab_size=lambda: 16,
        dtype="torch.float32",
        hf_config=SimpleNamespace(eos_token_id=2),
        try_get_generation_config=lambda: {"eos_token_id": [3, 4]},
    )
    tokenizer = SimpleNamespace(eos_token_id=1)
    llm: Any = SimpleNamespace(model_config=config, renderer=SimpleNamespace(tokenizer=tokenizer))
    process = VllmProcess(EngineSettings("owner/name"), "generate", dict)
    assert process._facts(llm, "0", "cpu").eos_ids == {1, 2, 3, 4}
    tokenizer.eos_token_id = config.hf_config.eos_token_id = None
    config.try_get_generation_config = dict
    assert process._facts(llm, "0", "cpu").eos_ids == set()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ValueError: No available memory for the cache blocks.", "Not enough memory"),
        (
            "(EngineCore pid=3) ERROR 11-23 18:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory.",
            "Not enough",
        ),
        ("RuntimeError: Weights do not fit the shape.", "does not start: Weights do not fit"),
    ],
)
def test_the_engines_own_last_error_is_the_cause(tmp_path: Path, line: str, expected: str) -> None:
    """The log of the engine's process holds the cause; what this process saw is only its echo."""
    log = tmp_path / "log"
    log.write_text(
        f"Traceback (most recent call last):\n  File x\n{line}\n"
        "(EngineCore pid=3) RuntimeError: Engine core initialization failed.\n"
    )
    error = explain("m", RuntimeError("Engine core initialization failed. See root cause above."), log)
    assert expected in str(error)
    assert str(log) in str(error)
    assert "\n" not in str(error)


def test_a_missing_system_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libnuma vLLM's kernels are silently absent; the error says what to install. Else it says vLLM's words."""
    error = AttributeError("'_OpNamespace' '_C' object has no attribute 'init_cpu_memory_env'")
    monkeypatch.setattr("engine.startup_errors.NEEDED_LIBRARY", "libno-such-thing.so.1")
    assert "libno-such-thing.so.1 is missing: install it" in str(explain("m", error, None))
    monkeypatch.setattr("engine.startup_errors.NEEDED_LIBRARY", "libc.so.6")
    assert "init_cpu_memory_env" in str(explain("m", error, None))


@pytest.mark.parametrize(("compiler", "compiles"), [("no-such-compiler", False), (sys.executable, True)])
def test_without_a_compiler_nothing_is_compiled(
    compiler: str, compiles: bool, tiny_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eager engine would otherwise die at its first request with log-probabilities, which vLLM compiles."""
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "")
    monkeypatch.delenv("TORCHDYNAMO_DISABLE")
    settings = EngineSettings(str(tiny_models[0]))
    arguments = engine_arguments(settings, read_card(settings.model), "generate", cpu=True)
    assert arguments["enforce_eager"] is True
    assert os.environ.get("TORCHDYNAMO_DISABLE") == (None if compiles else "1")


def test_killed_engine_most_likely_lacked_memory() -> None:
    """The kernel's killer leaves no message but the signal."""
    error = RuntimeError("Engine core initialization failed. Failed core proc(s): {'EngineCore': -9}")
    assert "memory ran out" in str(explain("m", error, None))


async def test_missing_vllm_names_what_to_install(
    tiny_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without vLLM the error names the package and the extras that bring it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(StartupError, match=r"'vllm' is not installed.*espalier\[cpu\]"):
        await VllmEngine(EngineSettings(str(tiny_models[0]))).start()


async def test_engine_that_is_not_started_says_so(tiny_models: tuple[Path, Path]) -> None:
    """Facts and calls need a running engine; closing one that never ran is nothing."""
    pair = make_engines(*(EngineSettings(str(folder)) for folder in tiny_models))
    assert not pair.healthy
    with pytest.raises(NotReady):
        _ = pair.generation.info
    await pair.close()


def test_causal_reward_models_run_as_generating_engines(tiny_models: tuple[Path, Path]) -> None:
    """Asked for labels, the reward model is a language model; a classifier cannot be one, nor the other way round."""
    lm, prm = (EngineSettings(str(folder)) for folder in tiny_models)
    pair = make_engines(lm, lm, VllmEngine)
    assert isinstance(pair.reward, VllmEngine)
    assert not pair.healthy
    with pytest.raises(StartupError, match="it scores text and generates none"):
        make_engines(lm, prm, VllmEngine)
    with pytest.raises(StartupError, match="it generates text and is no reward model"):
        make_engines(lm, lm)


@pytest.mark.parametrize("tag", ["\n", "<extra_0>"])
def test_step_tags_are_single_tokens(tiny_models: tuple[Path, Path], tag: str) -> None:
    """Ordinary tokens such as a line end can be tags as well as special ones; a longer text cannot."""
    _, prm = (EngineSettings(str(folder)) for folder in tiny_models)
    assert TagEngine(prm, tag).healthy is False
    with pytest.raises(StartupError, match="has no token"):
        TagEngine(prm, f"{tag}{tag}x")


def test_outcome_model_with_two_labels_is_refused(tmp_path: Path) -> None:
    """Which of them would be the reward? Told before anything is loaded."""
    with pytest.raises(StartupError, match="has 2 labels; an outcome reward model has one"):
        OutcomeEngine(EngineSettings(str(make_orm(tmp_path / "two", labels=2))))


def test_labels_are_counted_as_transformers_counts_them(tmp_path: Path) -> None:
    """By their names, else by their number, else there are two; nothing is known of a model on a hub."""
    for said, labels in (({"id2label": {"0": "x"}}, 1), ({"num_labels": 3}, 3), ({}, 2)):
        (tmp_path / "config.json").write_text(json.dumps(said))
        assert read_card(str(tmp_path)).labels == labels
    check_one_label(read_card("Skywork/Skywork-Reward-V2-Qwen3-8B"))


@pytest.mark.vllm
async def test_failures_inside_the_engine_are_one_line(
    tiny_models: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Too little memory, too long a context, weights of another shape: one line each, nothing on the terminal."""
    lm = tiny_models[0]
    unfit = tmp_path / "unfit"
    unfit.mkdir()
    for file in lm.iterdir():
        (unfit / file.name).write_bytes(file.read_bytes())
    (unfit / "config.json").write_text((lm / "config.json").read_text().replace(": 256,", ": 320,"))
    cases = [
        (EngineSettings(str(lm), kv_cache_gib=100_000.0), "Not enough memory for the model .*100000"),
        (EngineSettings(str(lm), max_model_len=100_000), "does not start: .*max_model_len"),
        (EngineSettings(str(unfit)), "does not start: .*(size|shape)"),
    ]
    engines = [VllmEngine(settings) for settings, _ in cases]
    errors = await asyncio.gather(*(engine.start() for engine in engines), return_exceptions=True)
    for error, (_, expected) in zip(errors, cases, strict=True):
        assert isinstance(error, StartupError)
        assert "\n" not in str(error)
        with pytest.raises(StartupError, match=expected):
            raise error
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cpu", [True, False])
def test_parallel_settings_reach_vllm(cpu: bool, tiny_models: tuple[Path, Path]) -> None:
    """Tensor, pipeline and data parallelism and what starts the workers are passed on as they are."""
    settings = EngineSettings(
        str(tiny_models[0]),
        tensor_parallel_size=2,
        pipeline_parallel_size=3,
        data_parallel_size=4,
        distributed_executor_backend="ray",
        extra={"data_parallel_backend": "ray"},
    )
    arguments = engine_arguments(settings, read_card(settings.model), "generate", cpu=cpu)
    expected = {
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 3,
        "data_parallel_size": 4,
        "distributed_executor_backend": "ray",
        "data_parallel_backend": "ray",
    }
    assert {name: arguments[name] for name in expected} == expected


def test_one_worker_needs_nobody_to_start_it(tiny_models: tuple[Path, Path]) -> None:
    """A CPU engine alone runs in one process, unless the operator wants otherwise; on a GPU vLLM decides."""
    card, alone = read_card(str(tiny_models[0])), EngineSettings(str(tiny_models[0]))
    assert engine_arguments(alone, card, "generate", cpu=True)["distributed_executor_backend"] == "uni"
    assert "distributed_executor_backend" not in engine_arguments(alone, card, "generate", cpu=False)
    chosen = replace(alone, distributed_executor_backend="mp")
    assert engine_arguments(chosen, card, "generate", cpu=True)["distributed_executor_backend"] == "mp"


def test_flags_reach_the_engines_settings() -> None:
    """The server's flags are the engine's settings."""
    from server.settings import Settings
    from server.vllm_backend import scorer_settings, writer_settings

    flags = {"tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": 4}
    settings = Settings.model_validate({**flags, "distributed_executor_backend": "ray"})
    writer, scorer = writer_settings(settings), scorer_settings(settings, "prm")
    assert {name: getattr(writer, name) for name in flags} == flags
    assert (writer.distributed_executor_backend, scorer.distributed_executor_backend) == ("ray", "ray")
    assert (writer.workers, scorer.tensor_parallel_size) == (24, 2)
