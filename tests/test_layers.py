"""The folders' import rules (docs/design.md, section 2), read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "mcts": set(),
    "reward": {"mcts"},
    "engine": {"mcts"},
    "server": {"engine", "reward", "mcts"},
    "models": {"reward", "mcts"},  # for the wording of the turns that the bundled model is taught
    "evals": {"models", "reward", "mcts"},
    "k8s": {"server", "engine", "reward", "mcts"},
    "benchmarks": {"evals", "models", "server", "engine", "reward", "mcts"},
}
"""Which of our folders each folder may import besides itself."""

ONLY_IN = {
    "vllm": {"engine", "models"},
    "torch": {"engine", "models"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "prometheus_client": {"server"},
    "opentelemetry": {"server"},
    "math_verify": {"reward"},
    "sympy": set(),
}
"""Third-party packages that only these folders may import. ``models`` is the training recipe, no part of a server."""


def modules(folder: str) -> list[Path]:
    """Every Python module of a folder."""
    return sorted((ROOT / folder).rglob("*.py"))


def imports(module: Path) -> Iterator[tuple[str, int]]:
    """The top-level package and line of every import in a module, those inside functions included."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0], node.lineno


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_down_only(folder: str) -> None:
    """A folder imports only the folders below it."""
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[folder] - {folder}
    assert [
        f"{module.relative_to(ROOT)}:{line} imports {name}"
        for module in modules(folder)
        for name, line in imports(module)
        if name in forbidden
    ] == []


def test_mcts_needs_numpy_and_the_standard_library_only() -> None:
    """The search core imports nothing but numpy, the standard library and itself."""
    allowed = set(sys.stdlib_module_names) | {"numpy", "mcts"}
    assert [
        f"{module.relative_to(ROOT)}:{line} imports {name}"
        for module in modules("mcts")
        for name, line in imports(module)
        if name not in allowed
    ] == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_heavy_packages_stay_in_their_folder(package: str) -> None:
    """Vllm and torch in ``engine`` (and the training recipe), the HTTP stack in ``server``, algebra in ``reward``."""
    assert [
        f"{module.relative_to(ROOT)}:{line}"
        for folder in MAY_IMPORT
        if folder not in ONLY_IN[package] and folder != "benchmarks"
        for module in modules(folder)
        for name, line in imports(module)
        if name == package
    ] == []


def test_math_verify_is_imported_by_its_worker_alone() -> None:
    """No other module of ``reward`` names it, and nobody imports the worker: it is a program."""
    users = [m.name for m in modules("reward") if any(name == "math_verify" for name, _ in imports(m))]
    assert users == ["verifier_worker.py"]
    named = [m.name for folder in MAY_IMPORT for m in modules(folder) if "import verifier_worker" in m.read_text()]
    named += [m.name for folder in MAY_IMPORT for m in modules(folder) if "reward.verifier_worker" in m.read_text()]
    assert named == []


def test_the_server_imports_nothing_heavy() -> None:
    """Importing everything a gateway needs loads no torch, vllm, sympy or opentelemetry, even if they are there."""
    heavy = "{'torch', 'vllm', 'sympy', 'math_verify', 'latex2sympy2_extended', 'opentelemetry'}"
    script = f"import sys, server.cli, server.app, reward.answers; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_modules_stay_small(folder: str) -> None:
    """No module is longer than 300 lines."""
    assert [str(m.relative_to(ROOT)) for m in modules(folder) if len(m.read_text().splitlines()) > 300] == []
