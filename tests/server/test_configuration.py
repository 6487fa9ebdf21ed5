"""Settings: three sources, their precedence, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcts.errors import StartupError
from server.bundled import bundled
from server.cli.flags import document_settings
from server.configuration import environment_name, load_settings
from server.settings import Settings

ROOT = Path(__file__).parents[2]


def yaml_file(folder: Path, text: str) -> str:
    """A settings file."""
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    """Each source overrides the ones behind it, field by field."""
    path = yaml_file(tmp_path, "port: 1001\nhost: 0.0.0.0\nmax-searches: 7\n")
    environ = {"ESPALIER_PORT": "1002", "ESPALIER_HOST": "::1", "PATH": "/bin"}
    settings = load_settings({"port": "1003"}, environ, path)
    assert (settings.port, settings.host, settings.max_searches, settings.max_queue) == (1003, "::1", 7, 128)


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    """ESPALIER_CONFIG stands for --config."""
    path = yaml_file(tmp_path, "port: 1001\n")
    assert load_settings({}, {"ESPALIER_CONFIG": path}).port == 1001


@pytest.mark.parametrize(
    ("environ", "text", "told"),
    [
        ({"ESPALIER_PROT": "1"}, "", "unknown setting ESPALIER_PROT in the environment; did you mean ESPALIER_PORT?"),
        ({}, "prot: 1", "unknown setting prot in the file"),
        ({}, "- port", "must hold 'name: value' lines"),
        ({}, "port: [", "is not valid YAML"),
        ({"ESPALIER_PORT": "high"}, "", "port (from the environment): input should be a valid integer"),
        ({}, "port: 70000", "port (from the file"),
        ({"ESPALIER_ENGINE": "magic"}, "", "engine (from the environment): input should be 'vllm' or 'scripted'"),
        ({"ESPALIER_ENGINE_ARG": "x"}, "", "engine_arg (from the environment): expected key=value, got 'x'"),
        ({"ESPALIER_GPU_MEMORY_UTILIZATION": ".8", "ESPALIER_REWARD_GPU_MEMORY_UTILIZATION": ".3"}, "", "add up to 1"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, environ: dict[str, str], text: str, told: str) -> None:
    """Unknown names and wrong values are refused, with the source."""
    with pytest.raises(StartupError) as refused:
        load_settings({}, environ, yaml_file(tmp_path, text))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A settings file that is not there is an error, not silence."""
    with pytest.raises(StartupError, match=r"absent\.yaml"):
        load_settings({}, {}, str(tmp_path / "absent.yaml"))


def test_what_kubernetes_injects_is_not_taken_for_settings() -> None:
    """A Service named espalier puts variables into every pod; they are passed over."""
    environ = {
        "ESPALIER_PORT": "tcp://10.0.0.1:8000",
        "ESPALIER_SERVICE_HOST": "10.0.0.1",
        "ESPALIER_SERVICE_PORT_HTTP": "8000",
        "ESPALIER_PORT_8000_TCP_ADDR": "10.0.0.1",
        "ESPALIER_ENGINES_SERVICE_HOST": "10.0.0.2",
    }
    assert load_settings({}, environ).port == 8000


def test_lists_and_pairs_can_be_written_anywhere(tmp_path: Path) -> None:
    """Keys and engine arguments come from commas, repeated flags or YAML; their values keep their types."""
    from_environ = load_settings({}, {"ESPALIER_API_KEY": "a, b", "ESPALIER_ENGINE_ARG": "block_size=32,swap=true"})
    assert [key.get_secret_value() for key in from_environ.api_key] == ["a", "b"]
    assert from_environ.engine_arg == {"block_size": 32, "swap": True}
    from_flags = load_settings({"api_key": ["a", "b"], "engine_arg": ["x=0.5"]}, {})
    assert len(from_flags.api_key) == 2
    assert from_flags.engine_arg == {"x": 0.5}
    from_file = load_settings({}, {}, yaml_file(tmp_path, "api_key: [a]\nengine_arg: {x: {y: 1}}\n"))
    assert from_file.engine_arg == {"x": {"y": 1}}


def test_secrets_are_masked() -> None:
    """No representation of the settings shows a key, and no error does."""
    settings = load_settings({"api_key": ["top-secret"]}, {})
    assert "top-secret" not in f"{settings!r} {settings} {settings.model_dump()}"
    with pytest.raises(StartupError) as refused:
        load_settings({"api_key": [["top-secret"]]}, {})
    assert "top-secret" not in str(refused.value)


def test_the_bundled_model_brings_its_reward_model() -> None:
    """With the bundled model the bundled reward model is loaded, with another none, unless set."""
    assert Settings().reward_model_path == bundled("abacus-prm")
    assert Settings(reward_model="none").reward_model_path is None
    assert Settings(model="Qwen/Qwen2.5-7B-Instruct").reward_model_path is None
    assert Settings(model="x/y", reward_model="x/z").reward_model_path == "x/z"


def test_the_served_name_is_the_last_part_of_the_path() -> None:
    """Clients say ``abacus``; an operator can choose another name."""
    assert Settings().model_name == "abacus"
    assert Settings(model="/models/Marco-o1/").model_name == "Marco-o1"
    assert Settings(served_model_name="math").model_name == "math"


def test_docs_settings_is_current() -> None:
    """docs/settings.md is what the settings say; ``python -m server.cli.documents`` writes it."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == document_settings()


def test_every_setting_says_what_it_does() -> None:
    """No flag without help, and every environment name is its field's."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert environment_name(name) == f"ESPALIER_{name.upper()}"
