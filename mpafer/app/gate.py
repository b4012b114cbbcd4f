"""What the server answers to: the requests that the page makes, and no others.

Gradio's server can do more than the page needs: it fetches addresses for the browser, keeps links to a page's state,
and takes requests of any size. None of this passes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/gradio_api"
PAGE = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json")
CALLS = ("upload", "upload_progress", "queue/join", "queue/data", "startup-events", "cancel", "reset")
FOLDERS = ("/assets/", "/static/", f"{API}/heartbeat/")
ROOM = 64 * 1024  # bytes of a request beside the file in it
ONLY_HERE = b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"  # to the browser: ask nobody else


def _adding(send: Send, header: tuple[bytes, bytes]) -> Send:
    """As ``send``, with a header more."""

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), header]
        await send(message)

    return adding


class Gate:
    """Answers 403 to requests that the page never makes, and 413 or 411 to those too large or of no known size.

    What it lets through tells the browser to ask no other server, as Gradio's tool that trims videos would.

    Args:
        app: what the others go on to.
        uploads: folder of the files that the page was given.
        largest: bytes of a file.
    """

    def __init__(self, app: ASGIApp, uploads: str, largest: int) -> None:
        self.app, self.largest = app, largest
        self.files = f"{API}/file={uploads}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not (refusal := self._refusal(scope)):
            await self.app(scope, receive, _adding(send, (b"content-security-policy", ONLY_HERE)))
        elif scope["type"] == "http":
            status, why = refusal
            await PlainTextResponse(why, status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if scope["type"] != "http" or not self._is_known(scope["path"]):
            return 403, "this page has nothing there"
        if "deep_link" in parse_qs(scope["query_string"].decode("latin-1")):
            return 403, "this page keeps no states"
        if scope["method"] != "POST":
            return None
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            return 411, "the size of this request is not known"
        if int(length) > self.largest + ROOM:
            return 413, f"this file is larger than {self.largest / 2**20:g} MB"
        return None

    def _is_known(self, path: str) -> bool:
        if re.search(r"(^|[/\\=])\.\.?([/\\]|$)", path):
            return False
        known = {*PAGE, *(f"{API}/{call}" for call in CALLS)}
        return path in known or path.startswith((*FOLDERS, self.files))
