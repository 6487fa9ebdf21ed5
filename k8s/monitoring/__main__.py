"""``python -m k8s.monitoring``: writes the dashboards, rules and queries, or looks whether they are current."""

from __future__ import annotations

import argparse
import sys

from k8s.monitoring.files import RUNBOOKS, files


def main() -> int:
    """Writes, or looks; 1 when a file is not current."""
    parser = argparse.ArgumentParser(prog="python -m k8s.monitoring", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is not current")
    parser.add_argument("--runbooks", default=RUNBOOKS, metavar="URL", help="address of the folder of runbooks")
    given = parser.parse_args()
    made = files(given.runbooks)
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if given.check else 'written'}: {path}")
        if not given.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
