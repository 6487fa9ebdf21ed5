"""The comparing block: what it writes down computes what it should, and the language model below stays what it was."""

import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoTokenizer

from models.comparing import SIGNS, begin_reward_model
from models.judged import made_up
from models.network import LanguageModel, NetworkShape
from models.reward_rows import reward_rows

MODELS = Path(__file__).parents[2] / "models"
EXTRA = 3


@pytest.fixture(scope="module")
def begun():
    """An untrained language model, the reward model that begins as it, the tokens of the signs, and rows of text."""
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "abacus")
    language = LanguageModel(NetworkShape(-(-len(tokenizer) // 64) * 64, 128, 2, 2, 2, 128))
    with torch.no_grad():
        for weight in language.parameters():
            if weight.ndim == 2:
                weight.mul_(4.0)  # as large as training makes them
    rows = list(reward_rows(tokenizer, islice(made_up(3), 200)))
    signs = [tokenizer.convert_tokens_to_ids(sign) for sign in SIGNS]
    network = begin_reward_model(language, iter(rows), signs, EXTRA, seed=2)
    ids = torch.tensor([row.ids[:96] for row in rows if len(row.ids) >= 96][:16])
    return language, network, signs, ids


def test_the_language_model_below_expects_much_the_same(begun):
    """Giving some directions to names leaves the logits of an untrained model strongly alike, and all of them near."""
    language, network, _, ids = begun
    with torch.inference_mode():
        theirs = language.logits(language.model(ids)[0])
        stream = network.model.model.streams(ids)[2]
        hidden = functional.rms_norm(stream, (128,), None, 1e-6) * language.model.norm.weight
        ours = language.logits(hidden)
    assert float(torch.corrcoef(torch.stack((theirs.flatten(), ours.flatten())))[0, 1]) > 0.8


def test_the_top_still_knows_which_sign_came(begun):
    """Along each sign's own direction the stream is 0.1 where it came and 0 elsewhere, through every block below."""
    _, network, signs, ids = begun
    model = network.model.model
    gate = model.layers[2].mlp.gate_proj.weight[: len(signs)]
    names = gate / gate.norm(dim=1, keepdim=True)
    with torch.inference_mode():
        told = model.streams(ids)[2] @ names.T
    expected = 0.1 * torch.stack([(ids == sign).float() for sign in signs], -1)
    torch.testing.assert_close(told, expected, atol=2e-3, rtol=0)


def test_the_head_looks_at_the_position_before(begun):
    """Whatever stands where, nearly all of the first head's attention is on the token before."""
    _, network, _, ids = begun
    attention = network.model.model.layers[2].self_attn
    seen = []
    attention.v_proj.register_forward_hook(lambda _, arguments, output: seen.append((arguments[0], output)))
    out = []
    handle = attention.o_proj.register_forward_pre_hook(lambda _, arguments: out.append(arguments[0]))
    with torch.inference_mode():
        network.model.model(ids)
    handle.remove()
    values, heads = seen[0][1][..., : len(SIGNS)], out[0][..., : len(SIGNS)]
    torch.testing.assert_close(heads[:, 1:], values[:, :-1], atol=0.1, rtol=0.05)


def test_it_writes_the_expectation_of_the_sign_that_came(begun):
    """One direction holds what was expected of the sign that came, relative to all signs, and 0 for any other token."""
    language, network, signs, ids = begun
    model = network.model.model
    total = model.layers[2].mlp.down_proj.weight[:, 0]
    total = total / total.norm()
    with torch.inference_mode():
        streams = model.streams(ids)
        written = (streams[3] - streams[2]) @ total
        logits = language.logits(functional.rms_norm(streams[2], (128,), None, 1e-6) * language.model.norm.weight)
    among = logits[:, :-1][..., signs] - logits[:, :-1][..., signs].mean(-1, keepdim=True)
    is_sign = torch.isin(ids, torch.tensor(signs))
    assert float(written[~is_sign].abs().max()) < 0.05
    came = torch.stack([(ids[:, 1:] == sign).float() for sign in signs], -1)
    expected = (among * came).sum(-1)[is_sign[:, 1:]]
    agreement = torch.corrcoef(torch.stack((written[:, 1:][is_sign[:, 1:]], expected)))[0, 1]
    assert float(agreement) > 0.9


def test_verdicts_begin_as_the_worst_so_far(begun):
    """A mistake written at one place lowers the verdict there and at every later place, and at none before."""
    _, network, _, ids = begun
    model = network.model
    at = 40
    error = network.error_direction

    def write(_, __, output):
        stream = output[0].clone()
        stream[:, at] += 16.0 * error
        return stream, output[1]

    def right():
        with torch.inference_mode():
            return torch.softmax(model(ids), -1)[..., 1]

    before = right()
    handle = model.model.layers[network.finding_depth - 1].register_forward_hook(write)
    after = right()
    handle.remove()
    torch.testing.assert_close(after[:, :at], before[:, :at])
    assert float((after[:, at:] - before[:, at:]).mean()) < -0.05


def test_only_the_blocks_above_the_comparison_learn(begun):
    """The language model and the comparison stay as they are; the head and the other fresh blocks learn."""
    _, network, _, _ = begun
    learned = {name.split(".")[2] for name, weight in network.model.named_parameters() if weight.requires_grad
               and ".layers." in name}  # fmt: skip
    assert learned == {"3", "4"}
    assert all(weight.requires_grad for weight in network.model.score.parameters())
    assert not network.model.model.embed_tokens.weight.requires_grad


def test_one_seed_gives_one_beginning(begun):
    """The same language model, text and seed give the same weights."""
    language, network, signs, _ = begun
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "abacus")
    rows = list(reward_rows(tokenizer, islice(made_up(3), 200)))
    random.seed(99)
    again = begin_reward_model(language, iter(rows), signs, EXTRA, seed=2)
    for name, weight in network.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], weight, atol=1e-4, rtol=1e-3)
