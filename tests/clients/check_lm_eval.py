"""lm-eval's chat-completions model on a local task of the bundled model's own word problems."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from outcome import run_checks

URL, RECORDS = os.environ["ESPALIER_URL"], os.environ["ESPALIER_RECORDS"]

TASK = """
task: abacus_word
dataset_path: json
dataset_kwargs:
  data_files:
    test: {records}
test_split: test
output_type: generate_until
doc_to_text: question
doc_to_target: answer
generation_kwargs:
  until: []
  max_gen_toks: 400
  do_sample: false
  temperature: 0.0
filter_list:
  - name: boxed
    filter:
      - function: regex
        regex_pattern: '\\\\boxed\\{{(-?[0-9]+)\\}}'
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def local_task() -> None:
    """Every problem is asked, some at a time; the accuracy is that of a model that can do sums."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "abacus_word.yaml").write_text(TASK.format(records=RECORDS), encoding="utf-8")
        where = f"model=abacus:direct,base_url={URL}/v1/chat/completions,num_concurrent=4,max_retries=1"
        command = [sys.executable, "-m", "lm_eval", "run", "--model", "local-chat-completions", "--model_args", where]
        command += ["--tasks", "abacus_word", "--include_path", folder, "--apply_chat_template"]
        command += ["--output_path", f"{folder}/out"]
        environment = os.environ | {"OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
        environment["HF_HOME"] = f"{folder}/hf"
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        (found,) = Path(folder, "out").rglob("results_*.json")
        accuracy = json.loads(found.read_text(encoding="utf-8"))["results"]["abacus_word"]["exact_match,boxed"]
        assert accuracy > 0.3, f"accuracy {accuracy}"


if __name__ == "__main__":
    version = importlib.metadata.version("lm_eval")
    asyncio.run(run_checks("lm-eval", version, {"local task": local_task}))
