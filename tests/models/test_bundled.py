"""The bundled pair of models: small, loadable, documented, and as good as the card says."""

import json
from pathlib import Path

import pytest
import torch

from models.card import percent
from models.evaluate import prompt_ids
from models.problems import KINDS, check, generate
from models.reward_rows import reward_messages
from models.tokenizer import STEP_TAG

MODELS = Path(__file__).parents[2] / "models"
LANGUAGE, REWARD = MODELS / "abacus", MODELS / "abacus-prm"
BOTH = pytest.mark.parametrize("folder", [LANGUAGE, REWARD], ids=lambda folder: folder.name)


@BOTH
def test_a_model_takes_at_most_16_mb(folder):
    """Each folder is small enough for the repository."""
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 16_000_000


@BOTH
def test_the_card_gives_the_measured_figures(folder):
    """Every figure of the card is the report's."""
    report = json.loads((folder / "report.json").read_text())
    card = (folder / "README.md").read_text()
    for kind in KINDS:
        for figure in ("greedy", "pass_at_n", "majority", "best_of_n"):
            assert percent(report["figures"][kind][figure]) in card
        assert f"{report['figures'][kind]['step_auroc']:.3f}" in card
    assert report["run"]["command"] in card
    assert report["exam"]["problems"] == 500


@BOTH
def test_the_config_names_the_architecture_that_vllm_knows(folder):
    """The architecture is Qwen2's, for generation or for process rewards, and the weights fit it."""
    config = json.loads((folder / "config.json").read_text())
    expected = "Qwen2ForCausalLM" if folder == LANGUAGE else "Qwen2ForProcessRewardModel"
    assert config["architectures"] == [expected]
    assert config["max_position_embeddings"] >= 2048
    assert config["hidden_size"] // config["num_attention_heads"] in (32, 64)


def test_transformers_generates_right_answers_with_the_language_model():
    """Loaded unchanged by transformers, greedy decoding solves at least a fifth of some fresh problems."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(LANGUAGE)
    model = AutoModelForCausalLM.from_pretrained(LANGUAGE)
    records = [record for kind in KINDS for record in generate(kind, 10, 77)]
    solved = 0
    for record in records:
        ids = torch.tensor([prompt_ids(tokenizer, record)])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=140, do_sample=False)
        solved += check(record, tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    assert solved >= len(records) / 5


def test_the_reward_model_prefers_right_steps():
    """Read in plain torch, a right first step scores above the same step with a false result, four times in five."""
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    from models.network import NetworkShape, ProcessRewardModel

    config = json.loads((REWARD / "config.json").read_text())
    shape = NetworkShape(
        config["vocab_size"],
        config["hidden_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["num_key_value_heads"],
        config["intermediate_size"],
    )
    model = ProcessRewardModel(shape)
    model.load_state_dict({name: value.float() for name, value in load_file(REWARD / "model.safetensors").items()})
    tokenizer = AutoTokenizer.from_pretrained(REWARD)
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    assert config["step_tag_id"] == tag

    def last_score(question, steps):
        text = tokenizer.apply_chat_template(reward_messages(question, steps), tokenize=False)
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids.count(tag) == len(steps)
        with torch.inference_mode():
            return float(torch.softmax(model(torch.tensor([ids]))[0, ids.index(tag)], -1)[1])

    better = 0
    records = list(generate("word", 20, 78))
    for record in records:
        first = record["solution"].split("\n\n")[:1]
        head, result = first[0].rstrip(".").rsplit("=", 1)
        better += last_score(record["question"], first) > last_score(
            record["question"], [f"{head}={int(result) + 10}."]
        )
    assert better >= 0.8 * len(records)


@pytest.mark.vllm
def test_vllm_loads_the_tokenizer_alike():
    """The tokenizer that vLLM loads by its own way gives the tokens that transformers gives."""
    from transformers import AutoTokenizer
    from vllm.tokenizers import get_tokenizer

    for folder in (LANGUAGE, REWARD):
        ours, theirs = AutoTokenizer.from_pretrained(folder), get_tokenizer(str(folder))
        for text in (
            "3*8=24.\n\nNow: 12+24=36.",
            "汤姆 🙂  x\n\n\n",
            *(r["question"] for r in generate("word", 20, 5)),
        ):
            assert theirs.encode(text) == ours.encode(text)
            assert theirs.decode(theirs.encode(text)) == text
