"""The dashboard over HTTP: its page and files, which tell nothing and are open, and its numbers, which are not."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from server.dashboard.files import KINDS, read, served
from server.dashboard.numbers import numbers
from server.runtime import runtime_of

PAGE = "index.html"
PATH = "/dashboard"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing runs but our own files, nothing is sent but to this server, and no other page may frame it."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asks again every time, and is told 304
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    tag: str


def file_paths() -> frozenset[str]:
    """The paths of the page and its files: what a browser must get before anybody can type a key."""
    return frozenset({PATH, *(f"{PATH}/{name}" for name in served() if name != PAGE)})


def dashboard_router() -> APIRouter:
    """The routes. The files are read once, here."""
    router = APIRouter(include_in_schema=False)
    files = {name: _file(name) for name in served()}

    @router.get(PATH)
    async def get_page(request: Request) -> Response:
        """The page."""
        return _reply(files[PAGE], request)

    @router.get(f"{PATH}/numbers")
    async def get_numbers(request: Request) -> Response:
        """The live numbers."""
        told = numbers(runtime_of(request).metrics.registry, time.time())
        return Response(json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})

    @router.get(PATH + "/{name:path}")
    async def get_file(name: str, request: Request) -> Response:
        """One of its files."""
        if name not in files or name == PAGE:
            raise HTTPException(404)
        return _reply(files[name], request)

    return router


def _file(name: str) -> _File:
    body = read(name).encode()
    return _File(body, KINDS[PurePosixPath(name).suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _reply(file: _File, request: Request) -> Response:
    headers = {**HEADERS, "ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers={**headers, "Content-Type": file.kind})
