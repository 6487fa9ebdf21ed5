"""Write both networks as Hugging Face directories that transformers and vLLM load unchanged."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from models.network import LanguageModel, NetworkShape, ProcessRewardModel
from models.tokenizer import PAD, STEP_TAG, TURN_END


def config_of(shape: NetworkShape, tokenizer: PreTrainedTokenizerFast, architecture: str) -> dict[str, Any]:
    """Return `config.json` for one of the two architectures."""
    return {
        "architectures": [architecture],
        "model_type": "qwen2",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "max_position_embeddings": shape.max_position,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_sliding_window": False,
        "use_cache": True,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.convert_tokens_to_ids(TURN_END),
        "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        "dtype": "bfloat16",
    }


def save_language_model(
    model: LanguageModel, tokenizer: PreTrainedTokenizerFast, folder: Path, temperature: float
) -> None:
    """Write the language model and its tokenizer to `folder`, weights in bfloat16, with a default `temperature`."""
    config = config_of(model.model.shape, tokenizer, "Qwen2ForCausalLM")
    _save(model, tokenizer, config, folder)
    generation = {
        "do_sample": True,
        "temperature": temperature,
        "eos_token_id": config["eos_token_id"],
        "pad_token_id": config["pad_token_id"],
    }
    _write_json(folder / "generation_config.json", generation)


def save_reward_model(model: ProcessRewardModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the reward model and its tokenizer to `folder`, weights in bfloat16.

    `step_tag_id` in the config is for readers; vLLM takes it from its pooler config.
    """
    config = config_of(model.model.shape, tokenizer, "Qwen2ForProcessRewardModel")
    config |= {"num_labels": 2, "step_tag": STEP_TAG, "step_tag_id": tokenizer.convert_tokens_to_ids(STEP_TAG)}
    _save(model, tokenizer, config, folder)


def read_language_model(folder: Path) -> LanguageModel:
    """Read a language model that `save_language_model` wrote, in float32."""
    model = LanguageModel(_shape_in(folder))
    model.load_state_dict(_weights_in(folder))
    return model


def read_reward_model(folder: Path) -> ProcessRewardModel:
    """Read a reward model that `save_reward_model` wrote, in float32."""
    model = ProcessRewardModel(_shape_in(folder))
    model.load_state_dict(_weights_in(folder))
    return model


def _shape_in(folder: Path) -> NetworkShape:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return NetworkShape(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        num_kv_heads=config["num_key_value_heads"],
        intermediate_size=config["intermediate_size"],
        max_position=config["max_position_embeddings"],
        rope_theta=config["rope_theta"],
    )


def _weights_in(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}


def _save(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, config: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    weights = {name: value.detach().cpu().bfloat16().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # The library leaves it to its owner alone; whoever serves the model from an image is another user.
    (folder / "model.safetensors").chmod(0o644)
    _write_json(folder / "config.json", config)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
