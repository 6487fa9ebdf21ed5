"""The dashboard over HTTP: who may get what, and under which policy it runs."""

from __future__ import annotations

from server.dashboard.files import served
from tests.server.service import serving


async def test_its_files_are_open_and_its_numbers_are_not() -> None:
    """A browser gets page and files without a key, since it could not type one otherwise, and no number without one."""
    async with serving(api_key="orchard") as service:
        for name in served():
            path = "/dashboard" if name == "index.html" else f"/dashboard/{name}"
            assert (await service.client.get(path)).status_code == 200, path
        closed = [
            "/dashboard/numbers",
            "/dashboard/",
            "/dashboard/nothing.js",
            "/dashboard/../v1/searches",
            "/dashboard/vendor/README.md",
        ]
        for path in closed:
            assert (await service.client.get(path)).status_code == 401, path
        told = await service.client.get("/dashboard/numbers", headers={"Authorization": "Bearer orchard"})
        assert told.json()["samples"]["mcts_searches_running"] == [[{}, 0.0]]


async def test_nothing_beside_its_files_is_served() -> None:
    """No name leads out of its folder, and what is no file of it is a 404 like any other."""
    async with serving() as service:
        for name in (
            "index.html",
            "nothing.js",
            "vendor/README.md",
            "../page.py",
            "%2e%2e/page.py",
            "..%2fpage.py",
            "",
        ):
            reply = await service.client.get(f"/dashboard/{name}")
            assert reply.status_code == 404, name
            assert reply.json()["error"]["code"] == "not_found"


async def test_its_policy_is_strict() -> None:
    """Own files only: nothing written into the page runs, nothing goes elsewhere, nobody frames it."""
    async with serving() as service:
        for path in ("/dashboard", "/dashboard/app.js"):
            headers = (await service.client.get(path)).headers
            policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert headers["x-content-type-options"] == "nosniff"
        page = (await service.client.get("/dashboard")).text
        assert "<script>" not in page
        assert " style=" not in page
        assert " on" not in page.split("<body>")[1].replace(" on ", "")


async def test_files_that_have_not_changed_are_not_sent_again() -> None:
    """A browser that has one asks by its tag and is told so."""
    async with serving() as service:
        first = await service.client.get("/dashboard/app.js")
        again = await service.client.get("/dashboard/app.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_numbers_follow_searches() -> None:
    """They are those of the server's registry at the moment; what is 0 under a label is left out."""
    async with serving() as service:
        before = (await service.client.get("/dashboard/numbers")).json()
        assert "mcts_searches_total" not in before["samples"]
        await service.answer(search={"strategy": "uct"})
        after = (await service.client.get("/dashboard/numbers")).json()
        (labels, value) = next(pair for pair in after["samples"]["mcts_searches_total"] if pair[0]["strategy"] == "uct")
        assert value == 1
        assert labels.keys() == {"strategy", "stop_reason"}
        assert after["time"] > before["time"]
        bounds = [labels["le"] for labels, _ in after["samples"]["mcts_search_duration_seconds_bucket"]]
        assert bounds[-1] == "+Inf"
        assert len(bounds) > 20  # buckets that are 0 too


async def test_it_can_be_turned_off() -> None:
    """Then its paths are unknown, and none of them is open."""
    async with serving(dashboard=False) as service:
        assert (await service.client.get("/dashboard")).status_code == 404
    async with serving(dashboard=False, api_key="orchard") as service:
        assert (await service.client.get("/dashboard")).status_code == 401
