"""The tokenizer: nothing is lost, digits stand alone, words stay whole, in every reader."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.problems import KINDS, generate
from models.tokenizer import STEP_TAG, TURN_END

FOLDERS = [Path(__file__).parents[2] / "models" / name for name in ("abacus", "abacus-prm")]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def tokenizer(request):
    """The bundled tokenizer as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(request.param)


@given(text=st.text())
def test_any_text_comes_back_in_normal_form(tokenizer, text):
    """Decoding gives the encoded text; in the rare case that it was not in normal form C, that form of it."""
    normal = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(tokenizer.encode(normal, add_special_tokens=False)) == normal
    # Unicode versions differ between Python and the tokenizer, so compare normal forms rather than the texts.
    back = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False))
    assert unicodedata.normalize("NFC", back) == normal


@pytest.mark.parametrize(
    "text",
    [
        "汤姆有12个苹果。",
        "naïve 🙂👩‍👩‍👧 Ω≈ç√",
        "def f(x):\n\treturn  x + 1\r\n\n\n",
        "  leading, trailing  ",
        "a , b . c ! n't",
        "<|im_start|>user\n<extra_0>",
    ],
)
def test_chinese_emoji_code_and_spaces_survive(tokenizer, text):
    """Text far from the training data comes back unchanged."""
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_digits_are_single_and_words_are_whole(tokenizer, kind):
    """In problems and solutions every digit is a token and no word falls into letters."""
    for record in generate(kind, 100, 21):
        tokens = tokenizer.tokenize(record["question"] + "\n\n" + record["solution"])
        assert all(len(token) == 1 for token in tokens if any(c.isdigit() for c in token))
        letters = [token for token in tokens if token.strip("Ġ").isalpha() and len(token.strip("Ġ")) == 1]
        assert set(letters) <= {"Ġa", "ĠA", "A", "Ġ"}


def test_a_blank_line_never_merges_with_text(tokenizer):
    """The step delimiter is one token whatever stands beside it, so a search may cut there."""
    (break_id,) = tokenizer.encode("\n\n", add_special_tokens=False)
    for before, after in (("=3.", "Now"), ("}", "The"), ("a", "7"), ("3", "(")):
        whole = tokenizer.encode(f"{before}\n\n{after}", add_special_tokens=False)
        parts = [tokenizer.encode(part, add_special_tokens=False) for part in (before, after)]
        assert whole == [*parts[0], break_id, *parts[1]]


def test_the_chat_template_knows_systems_turns_prefixes_and_prompts(tokenizer):
    """System, several turns, a generation prompt and a continued last message are rendered as ChatML."""
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    plain = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA"
    assert tokenizer.apply_chat_template(chat, tokenize=False) == plain + "<|im_end|>\n"
    assert tokenizer.apply_chat_template(chat, tokenize=False, continue_final_message=True) == plain
    asked = tokenizer.apply_chat_template(chat[:2], tokenize=False, add_generation_prompt=True)
    assert asked + "A" == plain


def test_end_of_turn_ends_the_text_and_the_step_tag_is_one_token(tokenizer):
    """The end-of-sequence token is the end of a turn; the step tag is a token of its own."""
    assert tokenizer.eos_token == TURN_END
    assert len(tokenizer.encode(STEP_TAG, add_special_tokens=False)) == 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@given(text=st.text() | st.text(alphabet="0123456789 .=+-*/\n()abcXYZ"))
def test_the_bare_tokenizers_library_reads_it_alike(tokenizer, folder, text):
    """A gateway without transformers gets the same tokens."""
    bare = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert bare.encode(text, add_special_tokens=False).ids == tokenizer.encode(text, add_special_tokens=False)
