r"""The tokenizer: byte-level BPE in the Qwen2 format, which keeps every digit, sign and blank line a token of its own.

transformers 5 rebuilds the tokenizer of every `qwen2` model from its vocabulary and merges, with the pre-tokeniser and
the NFC normaliser of Qwen2, whatever the files say. So the merges are learned under stricter rules (`_PIECES`), and the
result is saved with Qwen2's own: transformers, vLLM and the bare `tokenizers` library then all read it alike. Any text
in Unicode's normal form C comes back from its tokens unchanged; other text comes back in that form.
"""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, TURN_START, TURN_END, STEP_TAG = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"
SPECIAL_TOKENS = (PAD, TURN_START, TURN_END, STEP_TAG)
LONGEST_CONTEXT = 4096

# What merges may span, in order: a blank line, one digit, a word with its space, one sign with its space, one space.
_PIECES = r"\n\n|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]|\s"
# Qwen2Tokenizer's pre-tokeniser, as transformers writes it.
_QWEN2_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn the merges from `texts`; returns a tokenizer of at most `vocab_size` tokens with the chat template.

    Args:
        texts: What the model will read and write. Words that are rare in it fall apart into pieces.
        vocab_size: At least 260 (256 bytes and the special tokens).
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pieces(_PIECES)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = _pieces(_QWEN2_PIECES)
    tokenizer.normalizer = normalizers.NFC()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=TURN_END,
        additional_special_tokens=[TURN_START, STEP_TAG],
        model_max_length=LONGEST_CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def _pieces(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
