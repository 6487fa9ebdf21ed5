"""Tiny random-weight Qwen2 models with a byte-level tokenizer, for tests that need a real engine but no skill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EOS, IM_START, IM_END, STEP_TAG = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"
SPECIALS = (EOS, IM_START, IM_END, STEP_TAG)
MERGES = [("Ċ", "Ċ"), ("Ġ", "a"), ("t", "h"), ("th", "e")]

CHAT_TEMPLATE = """{%- for message in messages -%}
{%- if message.role not in ['system', 'user', 'assistant'] -%}
{{- raise_exception('Unknown role: ' ~ message.role) -}}
{%- endif -%}
{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""


def write_tokenizer(folder: Path, specials: Sequence[str] = SPECIALS) -> int:
    """Writes a byte-level tokenizer with a chat template; gives the number of its tokens, special ones last."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(alphabet)}
    for left, right in MERGES:
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": IM_END,
        "pad_token": EOS,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()


def tiny_config(vocab: int) -> dict[str, Any]:
    """The shape of every tiny model."""
    return {
        "vocab_size": vocab,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "eos_token_id": vocab - 2,
        "bos_token_id": None,
        "pad_token_id": vocab - 4,
        "use_sliding_window": False,
        "initializer_range": 0.3,
    }


def make_model(folder: Path, **changes: Any) -> Path:
    """Writes a Qwen2ForCausalLM with random weights.

    Args:
        folder: Where; made when missing.
        changes: Fields of the configuration to change, such as ``hidden_size``.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_tokenizer(folder)
    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**(tiny_config(vocab) | changes))).float().save_pretrained(folder)
    return folder


def make_prm(folder: Path, **changes: Any) -> Path:
    """Writes a Qwen2ForProcessRewardModel with random weights, laid out like Qwen2.5-Math-PRM."""
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2Model

    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_tokenizer(folder)
    torch.manual_seed(1)
    config = Qwen2Config(**(tiny_config(vocab) | {"tie_word_embeddings": False} | changes))
    weights = {f"model.{name}": value.clone() for name, value in Qwen2Model(config).float().state_dict().items()}
    width = config.hidden_size
    weights |= {
        "score.0.weight": torch.randn(width, width) * 0.2,
        "score.0.bias": torch.randn(width) * 0.2,
        "score.2.weight": torch.randn(2, width) * 0.2,
        "score.2.bias": torch.randn(2) * 0.2,
    }
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    described = config.to_dict() | {
        "architectures": ["Qwen2ForProcessRewardModel"],
        "num_labels": 2,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(described))
    return folder
