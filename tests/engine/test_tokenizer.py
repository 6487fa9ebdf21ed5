"""The real tokenizer on a tiny model folder: round trips, templates, and clear errors."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.tokenizer import HFTokenizer, load_tokenizer
from mcts.errors import InvalidRequest, StartupError
from mcts.ports import Message

USER = Message("user", "Hi")


@pytest.fixture(scope="session")
def tokenizer(tiny_models: tuple[Path, Path]) -> HFTokenizer:
    """The tiny model's tokenizer."""
    return load_tokenizer(str(tiny_models[0]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_text_comes_back_unchanged(tokenizer: HFTokenizer, text: str) -> None:
    """Encoding and decoding lose nothing, emoji and control characters included; Qwen2's normalises to NFC first."""
    composed = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(tokenizer.encode(text)) == composed
    assert tokenizer.round_trips(text) == (text == composed)


def test_special_tokens_are_single_and_shown(tokenizer: HFTokenizer) -> None:
    """A special token written in a text is that token, and decoding shows it."""
    ids = tokenizer.encode("a<|im_end|>")
    assert ids[-1] == tokenizer.token_id("<|im_end|>")
    assert tokenizer.decode(ids) == "a<|im_end|>"
    assert tokenizer.decode_text(ids, skip_special=True) == "a"
    assert tokenizer.token_id("<no such token>") is None


def test_chat_ends_where_the_assistant_begins(tokenizer: HFTokenizer) -> None:
    """The model's own template is used, with its generation prompt."""
    text = tokenizer.decode(tokenizer.render([Message("system", "S"), USER]))
    assert text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("start", ["The answer", "The answer is ", " \n", ""])
def test_prefill_stands_at_the_end_as_given(tokenizer: HFTokenizer, start: str) -> None:
    """A continued turn is left open and ends with exactly what the client wrote, trailing blanks included."""
    text = tokenizer.decode(tokenizer.render([USER, Message("assistant", start)], continue_final=True))
    assert text == f"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{start}"


def test_template_that_refuses_is_the_clients_fault(tokenizer: HFTokenizer) -> None:
    """A role that the template raises on gives its reason, in one line and with the field."""
    with pytest.raises(InvalidRequest, match="Unknown role: wizard") as caught:
        tokenizer.render([Message("wizard", "x")])
    assert caught.value.param == "messages"


def test_closed_chat_begins_no_further_turn(tokenizer: HFTokenizer) -> None:
    """What an outcome reward model reads ends with the answer's own end of turn."""
    chat = [USER, Message("assistant", "Yes.")]
    text = tokenizer.decode(tokenizer.render(chat, closed=True))
    assert text.rstrip("\n").endswith("<|im_start|>assistant\nYes.<|im_end|>")
    assert tokenizer.decode(tokenizer.render(chat)) == text + "<|im_start|>assistant\n"


def test_chats_that_cannot_be_rendered_are_refused(tokenizer: HFTokenizer) -> None:
    """No messages, or a user's turn to be continued."""
    with pytest.raises(InvalidRequest, match="at least one"):
        tokenizer.render([])
    with pytest.raises(InvalidRequest, match="Only an assistant"):
        tokenizer.render([USER], continue_final=True)


def test_template_in_a_message_is_text(tokenizer: HFTokenizer) -> None:
    """What a client writes is never run as a template."""
    attack = "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}"
    assert attack in tokenizer.decode(tokenizer.render([Message("user", attack)]))


def test_model_without_a_template_says_so(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    """A base model cannot render chats, and the error names what to use instead."""
    text = (tiny_models[0] / "tokenizer_config.json").read_text().replace('"chat_template"', '"unused"')
    for name in ("tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((tiny_models[0] / name).read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(text)
    with pytest.raises(InvalidRequest, match="/v1/completions"):
        load_tokenizer(str(tmp_path)).render([USER])


def test_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    """A wrong path is a start error that names it."""
    with pytest.raises(StartupError, match=r"no model folder at '.*nowhere'"):
        load_tokenizer(str(tmp_path / "nowhere"))


TOOL_TEMPLATE = (
    "{% for tool in tools or [] %}[tool {{ tool.function.name }}]{% endfor %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% for c in m.tool_calls or [] %}[call {{ c.id }} {{ c.function.name }} {{ c.function.arguments | tojson }}]"
    "{% endfor %}{% if m.role == 'tool' %}[of {{ m.tool_call_id }}]{% endif %}{% endfor %}"
)


def test_templates_that_know_tools_are_given_them(tokenizer: HFTokenizer, tiny_models: tuple[Path, Path]) -> None:
    """Tools, calls with their arguments as an object, and what they gave. The tiny model's template knows none."""
    assert not tokenizer.knows_tools
    own = load_tokenizer(str(tiny_models[0]))
    own._loaded.chat_template = TOOL_TEMPLATE
    assert own.knows_tools
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    messages = [
        USER,
        Message("assistant", "", {"tool_calls": [call]}),
        Message("tool", "3", {"tool_call_id": "c1", "name": "add"}),
    ]
    tools = [{"type": "function", "function": {"name": "add"}}]
    text = own.render_text(messages, tools=tools)
    assert text == '[tool add][user]Hi[assistant][call c1 add {"a": 1}][tool]3[of c1]'
    assert "[tool add]" not in own.render_text(messages)
