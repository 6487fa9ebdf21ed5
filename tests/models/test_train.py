"""The recipe itself, in its short form: it learns, and what it writes can be read."""

import json

import pytest
import torch

from models.batches import LENGTHS, UNLABELLED, Row, batches, chat_rows
from models.card import REPORT
from models.chats import MIX, training_chats
from models.comparing import RewardNetwork
from models.evaluate import auroc, vote
from models.losses import language_loss, reward_loss
from models.network import LanguageModel, NetworkShape, ProcessRewardModel
from models.optimise import Schedule, optimise
from models.recipe import SHORT
from models.reward_rows import reward_rows
from models.step_targets import Judged, judged, prefix_marks
from models.train import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder that `python -m models.train --preset short` fills."""
    out = tmp_path_factory.mktemp("models")
    assert main(["--preset", "short", "--out", str(out)]) == 0
    return out


@pytest.mark.train
@pytest.mark.timeout(300)
def test_the_short_recipe_learns_and_writes_both_models(trained):
    """Both losses fall, and both folders hold weights, a card and the same report."""
    reports = [json.loads((trained / name / REPORT).read_text()) for name in ("abacus", "abacus-prm")]
    assert reports[0] == reports[1]
    for losses in reports[0]["losses"].values():
        assert sum(losses[-5:]) / 5 < sum(losses[:3]) / 3
    assert reports[0]["losses"]["trunk"][-1] < 0.6 * reports[0]["losses"]["trunk"][0]
    for name in ("abacus", "abacus-prm"):
        assert (trained / name / "model.safetensors").stat().st_size < 16_000_000
        assert (trained / name / "README.md").read_text().startswith("---\nlicense: apache-2.0")


@pytest.mark.train
@pytest.mark.timeout(300)
def test_transformers_computes_what_the_recipe_trained(trained):
    """The saved language model gives the same logits in transformers as in the recipe's own network."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    folder = trained / "abacus"
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    weights = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    config = theirs.config
    ours = LanguageModel(
        NetworkShape(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_layers=config.num_hidden_layers,
            num_heads=config.num_attention_heads,
            num_kv_heads=config.num_key_value_heads,
            intermediate_size=config.intermediate_size,
        )
    )
    ours.load_state_dict(weights)
    ids = torch.arange(4, 44).reshape(2, 20)
    with torch.inference_mode():
        expected = theirs(ids).logits
        hidden, past = ours.model(ids[:, :12])
        late = [ours.logits(hidden)]
        for column in range(12, 20):
            hidden, past = ours.model(ids[:, column : column + 1], past)
            late.append(ours.logits(hidden))
    torch.testing.assert_close(torch.cat(late, 1), expected, atol=1e-4, rtol=1e-3)


@pytest.fixture(scope="module")
def tokenizer():
    """The bundled tokenizer."""
    from pathlib import Path

    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "models" / "abacus")


def test_training_chats_repeat_by_seed_and_keep_their_shares():
    """One seed gives one stream of chats, mixed about as `MIX` says."""
    chats = list(training_chats(600, 5))
    assert chats == list(training_chats(600, 5))
    for kind, (_, _, share) in MIX.items():
        assert abs(sum(chat.kind == kind for chat in chats) / 600 - share) < 0.08


def test_countdowns_come_more_often_where_they_weigh_more():
    """Three times the weight of a share of 0.26 makes it 0.78 of 1.52."""
    share = MIX["countdown"][2]
    heavier = 3 * share / (1 + 2 * share)
    counted = sum(chat.kind == "countdown" for chat in training_chats(600, 5, weights={"countdown": 3.0})) / 600
    assert abs(counted - heavier) < 0.08


def test_only_what_the_assistant_says_weighs_fully(tokenizer):
    """The answer and its end weigh 1, the question little, role names nothing."""
    (chat,) = [chat for chat in training_chats(50, 1) if chat.kind == "word"][:1]
    (row,) = chat_rows(tokenizer, [chat], question_weight=0.1)
    full = tokenizer.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if weight == 1])
    assert full == chat.messages[-1]["content"] + "<|im_end|>"


def test_a_drill_teaches_results_only(tokenizer):
    """Of bare sums, nothing weighs but what stands after the equals signs."""
    (chat,) = [chat for chat in training_chats(50, 1) if chat.kind == "sums"][:1]
    (row,) = chat_rows(tokenizer, [chat], question_weight=0.0)
    taught = tokenizer.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if weight])
    results = [equation.split("=")[1] for equation in chat.messages[-1]["content"].split("\n\n")]
    assert taught == "".join(results)


def reward_row(tokenizer, record, text):
    """The one row of one answer."""
    (row,) = reward_rows(tokenizer, [judged(record, text)])
    return row


def at_tags(tokenizer, row):
    """The labels at step tags."""
    tag = tokenizer.convert_tokens_to_ids("<extra_0>")
    return [label for token, label in zip(row.ids, row.labels, strict=True) if token == tag]


def test_reward_rows_follow_the_convention_of_qwen_math_prm(tokenizer):
    """System turn, question, steps each followed by the tag and no blank line; every tag has its step's verdict."""
    record = {"kind": "word", "question": "Q?", "answer": "3", "steps": [[1, "+", 2, 3, []]]}
    row = reward_row(tokenizer, record, "A: 1+2=3.\n\nThe answer is \\boxed{4}")
    assert tokenizer.decode(row.ids) == (
        "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>user\nQ?<|im_end|>\n"
        "<|im_start|>assistant\nA: 1+2=3.<extra_0>The answer is \\boxed{4}<extra_0><|im_end|>\n"
    )
    assert at_tags(tokenizer, row) == [1.0, 0.0]


def test_a_row_teaches_language_up_to_the_first_mistake_and_labels_what_can_be_checked(tokenizer):
    """Question and tags weigh nothing, an answer's tokens 1 until a digit is wrong; sums are labelled, words not."""
    record = {"kind": "word", "question": "Q?", "answer": "9", "steps": [[1, "+", 2, 3, []], [3, "*", 3, 9, [0]]]}
    row = reward_row(tokenizer, record, "A: 1+2=3.\n\nB: 3*3=8.")
    told = list(zip((tokenizer.decode([token]) for token in row.ids), row.weights, row.labels, strict=True))
    start = len(told) - 1 - [text for text, *_ in reversed(told)].index("A")
    assert all((weight, label) == (0.0, UNLABELLED) for _, weight, label in told[:start])
    assert [(text.strip(), weight, label) for text, weight, label in told[start : start + 18]] == [
        ("A", 1.0, UNLABELLED),
        (":", 1.0, UNLABELLED),
        ("", 1.0, UNLABELLED),
        ("1", 1.0, 1.0),
        ("+", 1.0, 1.0),
        ("2", 1.0, 1.0),
        ("=", 1.0, 1.0),
        ("3", 1.0, 1.0),
        (".", 1.0, 1.0),
        ("<extra_0>", 0.0, 1.0),
        ("B", 1.0, UNLABELLED),
        (":", 1.0, UNLABELLED),
        ("", 1.0, UNLABELLED),
        ("3", 1.0, 1.0),
        ("*", 1.0, 1.0),
        ("3", 1.0, 1.0),
        ("=", 1.0, 1.0),
        ("8", 0.0, 0.0),
    ]


def test_an_error_stands_once_in_an_answer_and_once_in_each_wrong_line_of_a_drill(tokenizer):
    """Before it, checked tokens carry 0; after it, and at tags, nothing; a drill's lines have no verdicts."""

    def errors(row):
        return "".join("." if error == UNLABELLED else str(int(error)) for error in row.errors).strip(".")

    record = {"kind": "word", "question": "Q?", "answer": "9", "steps": [[1, "+", 2, 3, []], [3, "*", 3, 9, [0]]]}
    assert errors(reward_row(tokenizer, record, "1+2=4.\n\n4*3=12.")) == "00001"
    marks = prefix_marks("4.", ["3."])
    drill = Judged("Q?", ("1+2=4.", "1+2=4."), (False, False), ([*[None] * 4, *marks],) * 2, is_answer=False)
    (row,) = reward_rows(tokenizer, [drill])
    assert errors(row) == "1......1"
    assert set(row.labels) == {UNLABELLED}
    assert set(row.weights) == {0.0}


def test_batches_have_few_shapes_and_drop_nothing_that_fits():
    """Every batch has one of the fixed lengths and padding on the right only."""
    import random

    rows = [Row([5] * size, [1.0] * size, [0.0] * size, [0.0] * size) for size in range(40, 200, 3)] * 8
    for ids, weights, labels, errors in batches(rows, 0, 512, random.Random(0)):
        assert ids.shape == weights.shape == labels.shape == errors.shape
        assert ids.shape[1] in LENGTHS
        assert (ids.diff(dim=1) <= 0).all()
        assert ((ids > 0) == (weights > 0)).all()
        assert ((ids > 0) == (labels != UNLABELLED)).all()
        assert ((ids > 0) == (errors != UNLABELLED)).all()


def test_the_rate_rises_stays_and_falls():
    """Warm-up, plateau, then a line down to almost nothing."""
    schedule = Schedule(steps=100, peak_rate=1.0, warmup=10, decay_share=0.5)
    assert [round(schedule.rate(step), 2) for step in (0, 4, 9, 30, 50, 75, 99)] == [0.1, 0.5, 1, 1, 1, 0.5, 0.02]


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path):
    """Two halves with a checkpoint between them give the losses and the weights of one whole run."""

    def run(steps, checkpoint):
        torch.manual_seed(0)
        model = LanguageModel(NetworkShape(32, 64, 1, 1, 1, 64))
        draw = torch.Generator().manual_seed(1)
        data = ((torch.randint(0, 32, (2, 8), generator=draw), *[torch.ones(2, 8)] * 3) for _ in range(6))
        schedule = Schedule(6, peak_rate=1e-2, warmup=1)
        seen = []

        def report(step, _):
            seen.append(step)
            if step == steps:
                raise KeyboardInterrupt

        try:
            losses = optimise(
                language_loss(model), model, data, schedule, torch.device("cpu"), report, checkpoint, checkpoint_every=3
            )
        except KeyboardInterrupt:
            losses = None
        return losses, model.state_dict(), seen

    whole, weights, _ = run(None, None)
    run(4, tmp_path / "kept.pt")
    resumed, others, seen = run(None, tmp_path / "kept.pt")
    assert seen == [4, 5, 6]
    assert resumed == pytest.approx(whole)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value)


def test_the_losses_by_hand():
    """Where every hidden state is 0, a token costs ln(vocabulary), a verdict ln 2 and a mistake ln 2."""
    import math

    shape = NetworkShape(32, 64, 1, 1, 1, 64)
    language, reward = LanguageModel(shape), ProcessRewardModel(shape)
    with torch.no_grad():
        language.model.norm.weight.zero_()
        reward.model.norm.weight.zero_()
        for layer in (reward.score[0], reward.score[2]):
            layer.bias.zero_()
    ids = torch.arange(16).reshape(2, 8)
    weights = torch.rand(2, 8) + 0.1
    labels, errors = torch.full((2, 2, 8), UNLABELLED)

    def value(loss_of):
        with torch.autocast("cpu", torch.bfloat16):
            return float(loss_of(ids, weights, labels, errors).detach())

    assert value(language_loss(language)) == pytest.approx(math.log(32), abs=1e-2)
    loss_of = reward_loss(RewardNetwork(reward, 1, torch.zeros(64)), 3)
    assert value(loss_of) == 0.0
    labels[0, 3], labels[1, 5] = 1.0, 0.0
    assert value(loss_of) == pytest.approx(math.log(2), abs=1e-2)
    errors[0, 2], errors[1, 5] = 1.0, 0.0
    assert value(loss_of) == pytest.approx(2 * math.log(2), abs=1e-2)


def test_auroc_by_hand():
    """Of the four pairs of right and wrong, two and a half are in order."""
    assert auroc([0.9, 0.4, 0.4, 0.6], [1, 1, 0, 0]) == pytest.approx(0.625)


def test_the_vote_sums_weights_and_the_first_wins_a_tie():
    """Equal boxes gather their weights; a text without a box has no vote."""
    texts = ["\\boxed{1}", "\\boxed{2}", "x \\boxed{2}", "none"]
    assert vote(texts, [0.5, 0.3, 0.3, 9.0]) == "\\boxed{2}"
    assert vote(texts[:2], [1.0, 1.0]) == "\\boxed{1}"


def test_the_short_preset_is_short():
    """The short form keeps the shape of the recipe and little of its length."""
    stages = (SHORT.trunk, SHORT.language, SHORT.reader, SHORT.reward)
    assert sum(stage.steps for stage in stages) <= 300
    assert SHORT.exam_problems <= 50
