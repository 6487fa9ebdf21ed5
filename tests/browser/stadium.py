"""A scripted model that solves one word problem in many ways, right and wrong: for pictures without a real engine."""

from __future__ import annotations

import zlib

from engine.scripted_language import END, Options
from mcts.ports import Path

QUESTION = "A stadium has 8 rows with 19 seats in each row. 12 seats are taken. How many seats are still free?"

SUMS: Options = [
    ("There are 8 x 19 = 152 seats in all.\n\n", 0.4),
    ("8 rows of 20 would be 160 seats; 8 fewer is 152.\n\n", 0.25),
    ("Rows and seats together: 8 + 19 = 27.\n\n", 0.2),
    ("In each row 12 are taken: 19 - 12 = 7.\n\n", 0.15),
]

THEN: dict[str, Options] = {
    "152": [
        ("12 of them are taken, which leaves 152 - 12 = 140.\n\n", 0.55),
        ("Half of the 12 first: 152 - 6 = 146, and 146 - 6 = 140.\n\n", 0.25),
        ("With the 12 it makes 152 + 12 = 164.\n\n", 0.2),
    ],
    "27": [("Without the 12 that is 27 - 12 = 15.\n\n", 0.7), ("12 times that is 12 x 27 = 324.\n\n", 0.3)],
    "7": [("In 8 rows that is 8 x 7 = 56.\n\n", 0.8), ("Rows and seats: 8 + 7 = 15.\n\n", 0.2)],
}

WORTH = {"140": 0.85, "164": 0.45, "56": 0.35, "15": 0.2, "324": 0.1}


def stadium(_: str, answer: str) -> Options | None:
    """What may come next."""
    steps = answer.split("\n\n")
    last = steps[-2].rstrip(".").split()[-1] if len(steps) > 1 else ""
    if not answer:
        return SUMS
    if not answer.endswith("\n\n"):
        return [(END, 1.0)] if answer.endswith("}") else None
    if len(steps) == 2:
        return THEN["152" if steps[0].endswith(("152.", "in all.")) else last]
    ways = (f"So \\boxed{{{last}}}", f"Still free: \\boxed{{{last}}}", f"The answer is \\boxed{{{last}}}")
    return list(zip(ways, (0.5, 0.3, 0.2), strict=True))


def stadium_worth(path: Path) -> float:
    """What an answer is worth, a little more or less by how it is put; short of one, what its last number is worth."""
    found = next((number for number in WORTH if f"{{{number}}}" in path.text), "")
    return WORTH.get(found, 0.3) + (zlib.crc32(path.text.encode()) % 13 - 6) / 100
