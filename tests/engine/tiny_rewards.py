"""Tiny random-weight reward models, laid out on disk like the published ones of each family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.engine.tiny import tiny_config, write_tokenizer

SKYWORK_BOS = "<|endoftext|>"

LLAMA_TEMPLATE = """{{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""
LLAMA_SPECIALS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def make_shepherd(folder: Path) -> Path:
    """A MistralForCausalLM like peiyi9979/math-shepherd-mistral-7b-prm, with "▁ки", "▁+" and "▁-" as tokens."""
    from transformers import MistralConfig, MistralForCausalLM

    vocab = _write_piece_tokenizer(folder)
    fields = tiny_config(vocab) | {"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": None, "sliding_window": None}
    return _save(folder, MistralForCausalLM, MistralConfig, fields, seed=2)


def make_llama(folder: Path) -> Path:
    """A LlamaForCausalLM like RLHFlow/Llama3.1-8B-PRM-Deepseek-Data, with Llama 3.1's chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True)
    vocab = write_tokenizer(folder, LLAMA_SPECIALS)
    _change_json(
        folder / "tokenizer_config.json",
        chat_template=LLAMA_TEMPLATE,
        bos_token=LLAMA_SPECIALS[0],
        eos_token=LLAMA_SPECIALS[-1],
        pad_token=LLAMA_SPECIALS[-1],
    )
    fields = tiny_config(vocab) | {"eos_token_id": vocab - 1, "bos_token_id": vocab - 4, "pad_token_id": vocab - 1}
    return _save(folder, LlamaForCausalLM, LlamaConfig, fields, seed=3)


def make_skywork(folder: Path) -> Path:
    """A Qwen2ForPrmModel like Skywork-o1-Open-PRM: a whole Qwen2ForCausalLM, its head too, and ``v_head.summary``."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder.mkdir(parents=True)
    vocab = write_tokenizer(folder)
    _change_json(folder / "tokenizer_config.json", bos_token=SKYWORK_BOS)
    fields = tiny_config(vocab) | {"tie_word_embeddings": False}
    _save(folder, Qwen2ForCausalLM, Qwen2Config, fields, seed=4)
    weights = load_file(str(folder / "model.safetensors"))
    weights["v_head.summary.weight"] = torch.randn(1, fields["hidden_size"]) * 0.3
    weights["v_head.summary.bias"] = torch.tensor([0.7])
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    auto = {"AutoModel": "modeling_qwen2_rm.Qwen2ForRewardModel"}
    _change_json(folder / "config.json", architectures=["Qwen2ForPrmModel"], auto_map=auto)
    return folder


def make_orm(folder: Path, labels: int = 1) -> Path:
    """A Qwen2ForSequenceClassification like Skywork-Reward-V2's: one linear layer at the last token."""
    from transformers import Qwen2Config, Qwen2ForSequenceClassification

    folder.mkdir(parents=True)
    fields = tiny_config(write_tokenizer(folder)) | {"num_labels": labels}
    return _save(folder, Qwen2ForSequenceClassification, Qwen2Config, fields, seed=5)


def _save(folder: Path, model: Any, config: Any, fields: dict[str, Any], seed: int) -> Path:
    import torch

    torch.manual_seed(seed)
    model(config(**fields)).float().save_pretrained(folder)
    return folder


def _change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _write_piece_tokenizer(folder: Path) -> int:
    """Cuts as Mistral's does: a blank stands before every text, words begin with "▁", the rest falls back to bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

    folder.mkdir(parents=True)
    merges = [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-"), ("▁", "t"), ("▁t", "o")]
    bytewise = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", "к", "и", *(chr(code) for code in range(33, 127))]
    pieces = ["<unk>", "<s>", "</s>", *bytewise, *letters, *(left + right for left, right in merges)]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token=pieces[0], byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in pieces[:3]])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()
