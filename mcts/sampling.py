"""How tokens are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class JsonForm:
    """JSON, which constrained decoding makes of an answer. ``schema`` is JSON Schema as text; empty is any object."""

    schema: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. The defaults draw from the model's own distribution.

    ``temperature`` ≥ 0 (0 is greedy), ``top_p`` in (0, 1], ``top_k`` ≥ 0 (0 is off), ``min_p`` in [0, 1], penalties in
    [-2, 2], ``repetition_penalty`` > 0 (1 is off). ``stop`` strings are cut from the text, as OpenAI does, unless
    ``include_stop``. ``logit_bias`` maps token ids to biases in [-100, 100]. ``form`` constrains a whole answer from
    its first token on, so that only calls that write whole answers may carry it.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    include_stop: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    bad_words: tuple[str, ...] = ()
    allowed_token_ids: tuple[int, ...] = ()
    skip_special_tokens: bool = True
    form: JsonForm | None = None
