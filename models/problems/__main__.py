"""`python -m models.problems --kind word|countdown --count N --seed S`: problems as JSON lines."""

import argparse
import json
import sys
from collections.abc import Sequence

from models.problems.generate import generate
from models.problems.record import KINDS


def main(argv: Sequence[str] | None = None) -> int:
    """Write problems to standard output; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.problems",
        description="Write problems with exact answers as JSON lines, one problem a line.",
    )
    parser.add_argument("--kind", choices=KINDS, required=True, help="family of problems")
    parser.add_argument("--count", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same problems (default 0)")
    parser.add_argument(
        "--split",
        choices=("heldout", "train"),
        default="heldout",
        help="heldout (default): problems that the bundled model never saw in training; train: the others",
    )
    parser.add_argument("--no-solution", action="store_true", help="leave out the worked solution")
    options = parser.parse_args(argv)
    try:
        for record in generate(options.kind, options.count, options.seed, options.split):
            if options.no_solution:
                del record["solution"]
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    except ValueError as error:
        parser.error(str(error))
    except BrokenPipeError:  # `… | head` has seen enough
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
