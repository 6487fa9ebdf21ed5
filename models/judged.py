"""Everything judged that can be made up without a model: careless answers and drills, without end, in one place."""

import random
from collections.abc import Iterator

from models.judged_drills import judged_states, judged_sums
from models.mistakes import made_up_answers
from models.problems import KINDS, generate
from models.step_targets import Judged, judged

_PLENTY = 10**9

# Share of the rows of each sort.
MIX = {"word": 0.34, "countdown": 0.3, "sums": 0.2, "states": 0.16}


def made_up(seed: int) -> Iterator[Judged]:
    """Yield judged answers and drills over problems of the train split, sorts mixed by their shares."""
    rng = random.Random(f"{seed} sorts")
    records = {kind: generate(kind, _PLENTY, seed, "train") for kind in KINDS}
    answers = {kind: made_up_answers(random.Random(f"{seed} {kind}"), records[kind]) for kind in KINDS}
    sorts, shares = list(MIX), list(MIX.values())
    while True:
        (sort,) = rng.choices(sorts, shares)
        if sort == "sums":
            yield judged_sums(rng, records["word"])
        elif sort == "states":
            yield judged_states(rng, records["countdown"])
        else:
            yield judged(*next(answers["word" if sort == "word" else "countdown"]))
