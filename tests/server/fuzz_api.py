"""``make fuzz-api``: thousands of requests made up from our own OpenAPI document, on a server with the toy engine."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.server.process import ESPALIER, running
from tests.server.test_openapi_fuzz import SCRIPTED

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"
MORE = "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"


def main() -> int:
    """Runs schemathesis; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.server.fuzz_api", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="made-up requests for each operation")
    given = parser.parse_args()
    with running([*ESPALIER, *SCRIPTED]) as server:
        command = [str(Path(sys.executable).with_name("st")), "run", f"{server.url}/openapi.json"]
        command += ["--checks", f"{CHECKS},{MORE}", "--max-examples", str(given.examples), "--request-timeout", "30"]
        command += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
