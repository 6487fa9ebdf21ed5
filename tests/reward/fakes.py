"""Fake tokenizers and reward engines whose every logit is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from mcts.ports import FloatArray, Message, Path, Prompt, Step

TAG = 0xE000
BOS = 0xE001
"""Characters for private use, so that special tokens are one character each."""

NEWLINE = ord("\n")
QUESTION = Prompt(token_ids=(1,), messages=(Message("user", "What is 1 + 1?"),))


class CharacterTokenizer:
    """One token per character and per special token; the template writes ``role:content|``."""

    specials: ClassVar = {"<extra_0>": chr(TAG), "<|endoftext|>": chr(BOS)}

    def encode(self, text: str) -> list[int]:
        """A token per character."""
        for special, character in self.specials.items():
            text = text.replace(special, character)
        return [ord(character) for character in text]

    def decode(self, token_ids: Sequence[int]) -> str:
        """A character per token."""
        text = "".join(map(chr, token_ids))
        for special, character in self.specials.items():
            text = text.replace(character, special)
        return text

    def render(self, messages: Sequence[Message], *, continue_final: bool = False, closed: bool = False) -> list[int]:
        """Every turn, the last one open when it is to be continued."""
        text = "".join(f"{message.role}:{message.content}|" for message in messages)
        return self.encode(text[:-1] if continue_final else text if closed else f"{text}assistant:")


class PieceTokenizer(CharacterTokenizer):
    """Cuts like the Mistral tokenizer where it matters: blanks stand before words, and a few pieces have their ids.

    As there, the word "кино" begins with the very token that is Math-Shepherd's step tag.
    """

    pieces: ClassVar = {"<s>": 1, "▁ки": 12902, "▁+": 648, "▁-": 387}
    pattern = re.compile("|".join([*map(re.escape, pieces), "."]), re.DOTALL)

    def encode(self, text: str) -> list[int]:
        """The known pieces, and other characters one by one; a word at the beginning has its blank too."""
        marked = text if text.startswith("<s>") else f"▁{text}".replace(" ", "▁")
        return [self.pieces.get(piece, ord(piece[0]) + 100_000) for piece in self.pattern.findall(marked)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text, with its blanks."""
        names = {token: piece for piece, token in self.pieces.items()}
        pieces = (names[token] if token in names else chr(token - 100_000) for token in token_ids)
        return "".join(pieces).replace("▁", " ")


class LogitEngine:
    """A pooling engine whose logits are chosen: one row per tag, softmax of several or sigmoid of one."""

    def __init__(self, *logits: Sequence[float], tag: int = TAG) -> None:
        self.logits = np.asarray(logits, dtype=np.float32).reshape(-1, len(logits[0]) if logits else 2)
        self.tag = tag
        self.asked: list[str] = []

    async def classify(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """The first rows, as many as a prompt has tags."""
        self.asked += [CharacterTokenizer().decode(prompt) for prompt in prompts]
        if self.logits.shape[1] == 1:
            rows = np.exp(-np.logaddexp(0, -self.logits))  # 1 / (1 + exp(-x)), exactly 0 and 1 far out
        else:
            weights = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
            rows = weights / weights.sum(axis=1, keepdims=True)
        return [rows[: list(prompt).count(self.tag)] for prompt in prompts]


class LabelLogits:
    """A label reader whose logits are chosen by the prompt's text.

    Besides the labels there is one more token, of logit 0, so that the labels' probabilities do not add up to 1.
    """

    def __init__(self, tokenizer: CharacterTokenizer, logits: Callable[[str], tuple[float, float]]) -> None:
        self.tokenizer, self.logits = tokenizer, logits
        self.asked: list[str] = []
        self.calls = 0
        self.labels: tuple[int, ...] = ()

    async def label_logprobs(self, prompts: Sequence[Sequence[int]], label_ids: Sequence[int]) -> FloatArray:
        """Log-softmax over the labels and the other token."""
        self.calls += 1
        self.labels = tuple(label_ids)
        texts = [self.tokenizer.decode(prompt) for prompt in prompts]
        self.asked += texts
        logits = np.array([(*self.logits(text), 0.0) for text in texts], dtype=np.float64)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logprobs[:, :2].astype(np.float32)


def path(text: str, prompt: Prompt = QUESTION) -> Path:
    """A path of one step with this text."""
    empty = np.zeros(0, dtype=np.float32)
    none = np.zeros((0, 0))
    return Path(prompt, (Step((1,), text, empty, none.astype(np.int32), none.astype(np.float32), None),))
