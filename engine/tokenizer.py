"""The real ``Tokenizer``: a Hugging Face tokenizer with its model's chat template. Needs neither torch nor vllm.

Everything here computes and may take tens of milliseconds on a chat of many thousand tokens; callers on an event loop
hand long chats to ``asyncio.to_thread``, which is safe: nothing is changed after loading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import environment
from engine.model_folder import read_tokenizer_card
from mcts.errors import InvalidRequest, StartupError
from mcts.ports import Message


class HFTokenizer:
    """Implements ``ports.Tokenizer`` over a loaded tokenizer with a Rust backend.

    Only the template that came with the model is ever rendered.
    """

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        self._backend = loaded.backend_tokenizer
        self._special = frozenset(int(token) for token in loaded.all_special_ids)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, added ones included."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @property
    def has_chat_template(self) -> bool:
        """Whether chats can be rendered."""
        return bool(self._loaded.chat_template)

    @property
    def knows_tools(self) -> bool:
        """Whether the template has a place for tools, for calls of them and for what they gave."""
        template = self._loaded.chat_template
        texts = template.values() if isinstance(template, dict) else [template or ""]  # some have one for tools alone
        return any("tools" in text for text in texts)

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that are marks and no text."""
        return self._special

    @property
    def eos_ids(self) -> frozenset[int]:
        """The tokenizer's own end of sequence; empty where it has none. The model may know others."""
        end = self._loaded.eos_token_id
        return frozenset() if end is None else frozenset({int(end)})

    def token_id(self, token: str) -> int | None:
        """The id of one token by its exact text, or None."""
        found = self._backend.token_to_id(token)
        return None if found is None else int(found)

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text. Special tokens written in the text are recognised.

        Args:
            text: Any text.
            special: Whether the tokens that this tokenizer puts before and after a whole text are added.
        """
        return list(self._backend.encode(text, add_special_tokens=special).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return self.decode_text(token_ids, skip_special=False)

    def decode_text(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text of token ids; incomplete characters come out as U+FFFD."""
        return str(self._backend.decode(list(token_ids), skip_special_tokens=skip_special))

    def round_trips(self, text: str) -> bool:
        """Whether a text comes back unchanged from encoding and decoding."""
        return self.decode(self.encode(text)) == text

    def render(
        self,
        messages: Sequence[Message],
        *,
        continue_final: bool = False,
        closed: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[int]:
        """Token ids of a chat under the model's template.

        Args:
            messages: The turns, at least one.
            continue_final: Leave the last turn, which must be the assistant's, open to be continued. What it says
                stands at the end exactly as given, trailing blanks included.
            closed: End with the last turn, whoever's it is, instead of beginning another.
            tools: Functions in OpenAI's shape, for templates that know tools.

        Raises:
            InvalidRequest: The model has no template, or its template refuses these messages.
        """
        return self.encode(self.render_text(messages, continue_final=continue_final, closed=closed, tools=tools))

    def render_text(
        self,
        messages: Sequence[Message],
        *,
        continue_final: bool = False,
        closed: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """The text that ``render`` encodes."""
        if not messages:
            raise InvalidRequest("A chat needs at least one message.", "messages")
        if not self.has_chat_template:
            raise InvalidRequest("This model has no chat template; use /v1/completions.", "messages")
        if not continue_final:
            return self._apply(messages, tools, add_generation_prompt=not closed)
        if messages[-1].role != "assistant":
            raise InvalidRequest("Only an assistant message can be continued.", "messages")
        start = messages[-1].content
        if not start:  # nothing to continue: an open turn is what the generation prompt gives
            return self._apply(messages[:-1], tools, add_generation_prompt=True)
        text = self._apply(messages, tools, continue_final_message=True)
        bare = start.rstrip()  # some templates trim; what was trimmed is put back
        return text if text.endswith(start) or not text.endswith(bare) else text + start[len(bare) :]

    def _apply(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], **how: bool) -> str:
        chat = [{"role": message.role, "content": message.content, **message.fields} for message in messages]
        known = [dict(tool) for tool in tools] or None
        try:
            return str(self._loaded.apply_chat_template(chat, tools=known, tokenize=False, **how))
        except Exception as error:  # templates are programs: they raise jinja's, Python's and transformers' own errors
            reason = " ".join(str(error).split())[:200]
            raise InvalidRequest(f"The model's chat template refuses these messages: {reason}", "messages") from error


def load_tokenizer(model: str) -> HFTokenizer:
    """Loads the tokenizer of a model folder, or of a hub id.

    Raises:
        StartupError: There is none, or it cannot be read.
    """
    card = read_tokenizer_card(model)
    environment.prepare(offline=False)  # one model may be a folder and the other on a hub
    with environment.quiet_warnings:
        try:
            from transformers import AutoTokenizer

            loaded = AutoTokenizer.from_pretrained(card.source, local_files_only=card.local)
        except ImportError as error:
            raise StartupError(f"A package is missing that tokenizers need: {error.name}.") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise StartupError(f"The tokenizer of {model!r} cannot be loaded: {reason}") from error
    if not hasattr(loaded, "backend_tokenizer"):
        raise StartupError(f"The tokenizer of {model!r} has no tokenizer.json; only fast tokenizers are supported.")
    return HFTokenizer(loaded)
