"""Which answers are mathematics, and how they are written for the algebra system."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward.notation import Notation, read


@pytest.mark.parametrize(
    ("answer", "latex"),
    [
        ("(x+1)^2", "(x+1)^2"),
        (r"$\frac{1}{\sqrt{2}}$.", r"\frac{1}{\sqrt{2}}"),
        (r"\(x \le 3\)", r"x \le 3"),
        ("x² + x", "x^{2} + x"),
        ("10⁻¹²", "10^{-12}"),
        ("2√3", r"2\sqrt{3}"),
        ("√(x+1)", r"\sqrt{x+1}"),
        ("(-∞, 3]", r"(-\infty , 3]"),
        ("π/2", r"\pi /2"),
        ("1 1/2", r"1\frac{1}{2}"),
        ("1.5e-3", r"1.5\times 10^{-3}"),
        ("ｘ＋１", "x+1"),
        ("sin(x) + log(2)", "sin(x) + log(2)"),
        (r"x=1 \text{ or } x=2", r"x=1 \text{ or } x=2"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ],
)
def test_mathematics_is_written_in_latex(answer: str, latex: str) -> None:
    """Delimiters go, signs and raised digits of Unicode become commands."""
    assert read(answer) == Notation(latex)


@pytest.mark.parametrize(
    "answer",
    ["", " ", "$", "A", "AB", "(C)", "yes", "No", "north-west", "x", "3 apples", "你好", "答案 1", "1🙂", "🌳",
     "print(1)", "for i in range(3): pass", '{"x": 1}', "f'(x) = 2", "3 4", "1 234", "[1, 2, 'x']", "café + 1",
     "x^2\x00", "x +\n1", r"\text{Paris}", "1" * 201, "(" * 13 + "x+1" + ")" * 13],
)  # fmt: skip
def test_everything_else_is_text(answer: str) -> None:
    """Prose, labels, code, other scripts, emoji, quotes, broken numbers, what is too long or too deep."""
    assert read(answer) is None


@pytest.mark.parametrize(
    ("answer", "latex", "unit"),
    [
        (r"5\text{ cm}", "5", "cm"),
        (r"5\ \mathrm{cm}^2", "5", "cm2"),
        (r"2\sqrt{3}\text{ square Units.}", r"2\sqrt{3}", "squareunits"),
        ("12 km", "12", "km"),
        ("5cm", "5", "cm"),
        ("3 m^{2}", "3", "m2"),
        ("5 m", "5", "m"),
        ("3m^{2}", "3m^{2}", ""),
        ("3h", "3h", ""),
        ("4s", "4s", ""),
        ("x + 2t", "x + 2t", ""),
        ("2ab", "2ab", ""),
        ("2x", "2x", ""),
    ],
)
def test_units_stand_apart(answer: str, latex: str, unit: str) -> None:
    """Words in ``text`` behind a number or group, and known units behind a bare number.

    Letters of algebra stay, and so does a unit of one letter without a blank before it.
    """
    assert read(answer) == Notation(latex, unit)


def test_two_units_must_be_the_same() -> None:
    """5 cm may be 5, but never 5 m."""
    length, plain = Notation("5", "cm"), Notation("5")
    assert length.may_equal(plain)
    assert plain.may_equal(length)
    assert length.may_equal(Notation("5.0", "cm"))
    assert not length.may_equal(Notation("5", "m"))


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """What is given on is short printable ASCII."""
    notation = read(text)
    assert notation is None or (notation.latex.isascii() and notation.latex.isprintable() and notation.latex)


@pytest.mark.parametrize("unit", ["\\text{", "{", "1 ", "√(", "\\", "²", "1/", "\\begin{", "1e5 ", "$", "5}\\ "])
def test_hostile_repetition_is_read_at_once(unit: str) -> None:
    """No pattern backtracks for long."""
    start = time.perf_counter()
    for length in (150, 190, 500, 100_000):
        read((unit * length)[:length])
    assert time.perf_counter() - start < 1.0
