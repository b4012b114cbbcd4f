"""The page of `mpafer app`, served for a test, and what asks it without a browser."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from mpafer.app.runs import Runs
from mpafer.app.server import serving

LARGEST = 2 * 2**20  # bytes of an upload


@contextmanager
def served(runs: Runs, host: str = "127.0.0.1", **variables: str) -> Iterator[str]:
    """The address of a page; nothing of the environment is changed at the end."""
    with patch.dict(os.environ, variables), serving(runs, host, 0, LARGEST) as address:
        yield address


def ask(address: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Status and text that the server answers; with a body it is posted. Paths are sent as they are."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, body, named)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def upload(address: str, content: bytes, name: str = "a.png") -> tuple[int, str]:
    """As the browser uploads a file; the text is a JSON list of its path on the server."""
    start = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    body = start + content + b"\r\n--x--\r\n"
    return ask(f"{address}gradio_api/upload", body, Content_Type="multipart/form-data; boundary=x")


def call(address: str, run: object, file: object) -> str:
    """What the page's first event, the answer to a picture, comes to: all that the server says, as it is sent."""
    config = json.loads(ask(f"{address}config")[1])
    number = config["dependencies"][0]["id"]
    event = {"data": [run, file], "fn_index": number, "session_hash": "test", "trigger_id": None, "event_data": None}
    status, text = ask(f"{address}gradio_api/queue/join", json.dumps(event).encode(), Content_Type="application/json")
    return text if status != 200 else ask(f"{address}gradio_api/queue/data?session_hash=test")[1]


def as_file(path: object, name: str = "a.png") -> dict[str, object]:
    """As the browser names an uploaded file."""
    return {"path": str(path), "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def uploads(address: str) -> Path:
    """The server's folder of uploaded files."""
    (path,) = json.loads(upload(address, b"x")[1])
    return Path(path).parent.parent
