"""The figures of all suites as one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evals.figures import Figures
from evals.measure import Measured
from evals.tables import by_run, by_strategy, by_verdict
from evals.verdicts import Verdict, main_verdicts, quarter_verdicts

ABOUT = {
    "main": """## Search against sampling, at equal generated tokens

`greedy` is plain decoding at temperature 0; the number behind `uct` its simulations, each of up to 4 answers. `best
of N` draws as many samples as cost the same tokens as tree search by the process reward model: the vote `max value`
over them is best-of-N, `weighted` is weighted best-of-N, `majority` is the vote by majority of the same size.""",
    "modes": """## Ways to cut a path into steps

The same tree search by the process reward model with other steps: at a blank line or after 64 or 32 tokens, without
and with reflection; then without rollouts, and the reference preset, which confidence scores.""",
    "quarter": """## A quarter of the tokens

A weighted vote over 64 samples against `beam` with 8, 12 and 16 paths and `uct` with 4, 6 and 8 simulations, all by
the process reward model.""",
    "family": """## Every strategy, reward and vote

A budget is a number of answers. Samplers and populations write that many. Trees get as many simulations as cost about
as much: `uct` half as many (each writes 4 answers, but shares their beginnings and keeps rollouts), `uct without
rollouts` and `marco-o1` as many, `self_refine` and `mctsr` a quarter (critique, rewriting and grades), `ab_mcts` half
as many (critique and rewriting). `cot_decoding` tries at most 20 first tokens, and the judge scores the smaller
budgets only, since its verdicts are as long as answers. Compare by tokens, not by budget.

`accuracy` is that of the replies. The columns of votes take each vote over the same candidates of the same searches,
by the server's own code (`mcts/votes.py`); the bold one is the search's own. An empty cell is a vote that the
strategy does not have.""",
}
"""What stands above the tables of each suite."""

READING = """Accuracies are shares of problems that the exact checker accepts, in brackets or beside them 95% Wilson
intervals. Differences are paired by problem, with Agresti and Min's 95% interval. Tokens count everything generated
(critiques and verdicts too), not only the answer. Tokens, engine calls and seconds are means per question; seconds
include waiting for the other questions that are answered at the same time. Each reply says which strategy, reward and
vote were used; one that departs from what was asked counts as an error, and an error as a wrong answer."""


def page(suites: Mapping[str, Measured], provenance: str, picture: str | None) -> str:
    """The page.

    Args:
        suites: What was measured, by suite.
        provenance: A paragraph on when, where and with what.
        picture: Address of the plot, relative to the page.
    """
    parts = ["# Results on the bundled model", provenance, READING]
    verdicts = all_verdicts({suite: measured.figures for suite, measured in suites.items()})
    if verdicts:
        parts += ["## What was claimed", _WITHIN, by_verdict(verdicts)]
    if picture is not None:
        parts += ["## Accuracy against generated tokens", f"![accuracy against generated tokens]({picture})", _DRAWN]
    for suite, measured in suites.items():
        table = by_strategy if suite == "family" else by_run
        parts += [ABOUT[suite], f"{_errors(measured.figures)} {_took(measured)}", table(measured.figures)]
    return "\n\n".join(parts) + "\n"


_WITHIN = """*Yes* and *no* say what the figures are; *within chance*, that the interval of the difference reaches
across the bound."""


_DRAWN = """Under the vote of each search itself. Each line is drawn 2% to the right of the one before, since many
cost the same. A run in which every question met an error is not drawn."""


def all_verdicts(suites: Mapping[str, Sequence[Figures]]) -> list[Verdict]:
    """The verdicts on what was measured."""
    found = main_verdicts(suites.get("main", ()))
    return found + [one for suite in ("quarter", "family") for one in quarter_verdicts(suites.get(suite, ()))]


def _errors(figures: Sequence[Figures]) -> str:
    errors = sum(row.errors for row in figures if row.own)
    asked = sum(row.questions for row in figures if row.own)
    return f"Of {asked} replies {errors or 'none'} met an error."


def _took(measured: Measured) -> str:
    return f"Measuring took {measured.seconds / 60:.0f} minutes."
