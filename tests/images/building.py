"""Images built and run without a Docker engine: buildah in chroot isolation, on a Debian made by debootstrap.

Both come with apt (``buildah``, ``debootstrap``) and need root. What pip is configured with here (certificates, local
indexes) is lent to the build as read-only mounts, so that nothing of this machine ends up in the Dockerfile.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
BASE = "localhost/debian-python:bookworm"


def missing() -> str:
    """What keeps images from being built here; empty for nothing."""
    if os.geteuid() != 0:
        return "building images needs root"
    programs = [name for name in ("buildah", "debootstrap") if not shutil.which(name)]
    return f"not installed: {', '.join(programs)}" if programs else ""


@dataclass(frozen=True, slots=True)
class Store:
    """Where buildah keeps images.

    Args:
        folder: Its own, on a disk with some 20 GB to spare: layers are copied whole.
    """

    folder: Path
    built: set[str] = field(default_factory=set)

    def buildah(self, *arguments: str) -> list[str]:
        """A command line of buildah."""
        roots = ["--root", str(self.folder / "images"), "--runroot", str(self.folder / "run")]
        return ["buildah", "--storage-driver", "vfs", *roots, *arguments]

    def run(self, *arguments: str) -> str:
        """Runs buildah; what it printed.

        Raises:
            AssertionError: It failed.
        """
        done = subprocess.run(self.buildah(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout.strip()

    def make_base(self) -> None:
        """A small Debian with Python, as an image."""
        tree = self.folder / "debian"
        include = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(["debootstrap", "--variant=minbase", include, "bookworm", tree], check=True, capture_output=True)
        container = self.run("from", "scratch")
        self.run("copy", "-q", container, str(tree), "/")
        self.run("commit", "-q", container, BASE)
        self.run("rm", container)
        shutil.rmtree(tree)

    def build(self, target: str) -> str:
        """Builds one target of the Dockerfile, unless that is done; the image's name."""
        name = f"localhost/espalier:{target}"
        if target in self.built:
            return name
        mounts = [flag for mount in _pip_mounts(self.folder) for flag in ("--volume", mount)]
        self.run(
            "bud",
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--target",
            target,
            "--build-arg",
            f"BASE={BASE}",
            *mounts,
            "-t",
            name,
            ".",
        )
        self.built.add(target)
        return name

    def configuration(self, image: str) -> dict[str, object]:
        """What the image says of itself."""
        told = json.loads(self.run("inspect", "--type", "image", image))
        return dict(told["Docker"]["config"], Size=self.run("images", "--format", "{{.Size}}", image))

    @contextmanager
    def running(self, image: str, *flags: str, seconds: float = 240) -> Iterator[Running]:
        """Runs an image's own entry point until it is ready; ends it afterwards if the test did not."""
        entry = self.configuration(image)["Entrypoint"]
        assert isinstance(entry, list)
        container = self.run("from", image)
        log = self.folder / f"{container}.log"
        command = self.buildah("run", "--isolation", "chroot", container, "--", *entry, "--host", "127.0.0.1", *flags)
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        started = Running(process, log)
        try:
            started.wait_until_ready(seconds)
            yield started
        finally:
            if process.poll() is None:
                started.terminate()
                process.wait(60)
            self.run("rm", container)


@dataclass(slots=True)
class Running:
    """A running image."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def wait_until_ready(self, seconds: float) -> None:
        """Waits for the server's own word that it is ready."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"ready on (http://\S+)", self.log.read_text()):
                self.url = found[1]
                return
            time.sleep(0.1)
        raise AssertionError(f"the image did not become ready:\n{self.log.read_text()[-4000:]}")

    def ask(self, question: str) -> dict[str, object]:
        """A chat over HTTP."""
        body = {"messages": [{"role": "user", "content": question}]}
        return dict(httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=120).raise_for_status().json())

    def terminate(self) -> None:
        """What Kubernetes does to the container's first process."""
        for pid in _descendants(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if words[:2] == ["/opt/espalier/bin/python", "/opt/espalier/bin/espalier"]:
                os.kill(pid, signal.SIGTERM)
                return
        raise AssertionError("the server is not running")


def _pip_mounts(folder: Path) -> list[str]:
    """Mounts that give the build this machine's pip settings, and the files that they name."""
    listed = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found = {key: value.strip("'") for key, value in re.findall(r"(?:global|:env:)\.([a-z-]+)='?([^\n]*)", listed)}
    wanted = ("cert", "find-links", "index-url", "extra-index-url", "default-timeout")
    settings = configparser.ConfigParser()
    settings["global"] = {key: found[key] for key in wanted if key in found}
    with (folder / "pip.conf").open("w") as file:
        settings.write(file)
    named = re.findall(r"/[\w./-]+", " ".join(found.get(key, "") for key in wanted[1:4]).replace("https://", ""))
    # An index in files, ".../simple", names its packages by relative paths beside it.
    local = {str(Path(path).parent if Path(path).name == "simple" else path) for path in named if Path(path).is_dir()}
    mounts = [f"{path}:{path}:ro" for path in sorted(local)]
    if (cert := found.get("cert")) and Path(cert).exists():
        mounts.append(f"{Path(cert).parent}:{Path(cert).parent}:ro")
    return [f"{folder}/pip.conf:/etc/pip.conf:ro", *mounts]


def _descendants(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return [*children, *(below for child in children for below in _descendants(child))]
