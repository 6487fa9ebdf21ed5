"""The Dockerfile's images: built, started as their own user, asked, and stopped. ``make test-long`` runs this."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.building import Store, missing

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of images with the base image in it."""
    if reason := missing():
        pytest.skip(reason)
    store = Store(tmp_path_factory.mktemp("store"))
    (store.folder / "run").mkdir()
    store.make_base()
    yield store
    store.run("rm", "--all")
    store.run("rmi", "--all", "--force")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("target", "flags", "question", "answer"),
    [
        ("gateway", ["--engine", "scripted", "--port", "18931"], "1 2", r"boxed\{3\}"),
        (
            "cpu",
            ["--port", "18932"],
            "Tom has 3 boxes with 4 pens each. He gives 2 pens away. How many are left?",
            "boxed",
        ),
    ],
)
def test_an_image_answers_and_stops_cleanly(
    store: Store, target: str, flags: list[str], question: str, answer: str
) -> None:
    """Built, it runs as a user without rights, answers a chat, and ends with 0 when Kubernetes tells it to."""
    image = store.build(target)
    told = store.configuration(image)
    print(f"\n{target}: {told['Size']}")  # noqa: T201 - for whoever runs it
    assert told["User"] == "10001:10001"
    assert told["Healthcheck"]
    labels = told["Labels"]
    assert isinstance(labels, dict)
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    with store.running(image, *flags) as running:
        assert re.search(answer, str(running.ask(question)))
        running.terminate()
        assert running.process.wait(60) == 0, running.log.read_text()[-2000:]


def test_the_gateways_image_holds_no_engine(store: Store) -> None:
    """No torch, no vLLM, no weights."""
    container = store.run("from", store.build("gateway"))
    tree = Path(store.run("mount", container))
    try:
        assert not list(tree.rglob("*.safetensors"))
        packages = {path.name for path in tree.glob("opt/espalier/lib/python3*/site-packages/*")}
        assert "fastapi" in packages
        assert not {name for name in packages if name.startswith(("torch", "vllm", "nvidia", "triton"))}
    finally:
        store.run("umount", container)
        store.run("rm", container)
