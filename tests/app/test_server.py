"""What the page's server answers to requests that no page makes; what it leaves; the command's messages."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support.commands import invoke
from support.faces import draw_face
from support.page import LARGEST, as_file, ask, call, served, upload, uploads

from mpafer.app.runs import SHIPPED, Runs

gradio = pytest.importorskip("gradio")
pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a page that was started with variables that would open it to everybody."""
    with served(
        Runs(device="cpu", faces="none"), GRADIO_ALLOWED_PATHS="/", GRADIO_SHARE="True", GRADIO_SERVER_NAME="0.0.0.0",
        GRADIO_ANALYTICS_ENABLED="True", HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9",
    ) as address:  # fmt: skip
        yield address


def png() -> bytes:
    file = io.BytesIO()
    draw_face("happiness", 38).save(file, "PNG")
    return file.getvalue()


def begun(address: str, header: str) -> str:
    """What the server says to the head of an upload, before there is more of it."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        head, _, text = b"".join(iter(lambda: connection.recv(4096), b"")).decode().partition("\r\n\r\n")
    return f"{head.split()[1]} {text}"


def test_an_uploaded_picture_is_answered_and_shown(address: str) -> None:
    (path,) = json.loads(upload(address, png())[1])
    said = call(address, SHIPPED, as_file(path))
    assert "happiness" in said and "A smiling mouth" in said and "drawn faces only" in said
    status, _ = ask(f"{address}gradio_api/file={path}")
    assert status == 200, "the control: the browser is shown its own upload"


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=//etc/passwd",
        "gradio_api/file={uploads}/../../etc/passwd",
        "gradio_api/file={uploads}/..%2f..%2fetc%2fpasswd",
        "gradio_api/file={uploads}/%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/file={uploads}\\..\\..\\etc\\passwd",
        "gradio_api/file={uploads}",
        "gradio_api/file={here}",
        "gradio_api/file={quoted}",
        "gradio_api/file=file:///etc/passwd",
        "gradio_api/file=http://example.com/a.png",
        "gradio_api/file/etc/passwd",
        "file=/etc/passwd",
        "file/etc/passwd",
        "static/../../../../../../../etc/passwd",
        "static/%2e%2e/%2e%2e/%2e%2e/routes.py",
        "assets/..%2f..%2f..%2froutes.py",
        "gradio_api/proxy=http://example.com/",
        "gradio_api/custom_component/a/b/c/..%2f..%2fetc%2fpasswd",
        "gradio_api/stream/a/b/c/playlist.m3u8",
        "?deep_link=..%2f..%2fetc",
        "gradio_api/runs",
        "gradio_api/info",
        "monitoring",
    ],
)
def test_nothing_of_the_server_is_reached(address: str, path: str) -> None:
    here = str(Path(__file__))
    path = path.format(uploads=uploads(address), here=here, quoted=quote(here, safe=""))
    status, text = ask(f"{address}{path}")
    assert status == 403 and "root:" not in text and "import" not in text


def test_only_uploaded_files_are_read(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (inside,) = json.loads(upload(address, png())[1])
    for path in (tmp_path / "a.png", "/etc/passwd", f"{inside}/../../../../../{tmp_path}/a.png", uploads(address), ""):
        said = call(address, SHIPPED, as_file(path))
        assert "happiness" not in said and "root:" not in said, path
        assert "only uploaded files are read" in said, path
    nested = as_file(inside) | {"more": [as_file("/etc/passwd")]}
    for value in ({"path": str(tmp_path / "a.png")}, [as_file(inside)], 5, {"a": as_file("/etc/passwd")}, nested):
        assert "only uploaded files are read" in call(address, SHIPPED, value)
    words = call(address, SHIPPED, "/etc/passwd")
    assert '"success":false' in words and "root:" not in words and "Traceback" not in words


def test_a_run_is_one_of_the_list(address: str, tmp_path: Path) -> None:
    (path,) = json.loads(upload(address, png())[1])
    for run in ("/etc", "../..", str(tmp_path), None):
        assert "this run is not in the list" in call(address, run, as_file(path))
    assert "happiness" not in call(address, as_file("/etc/passwd"), as_file(path))


def test_no_address_is_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio downloads what a file's path names, where that is an address; here it is not even tried."""
    fetched: list[str] = []

    async def fetch(url: str, *args: object, **options: object) -> str:
        fetched.append(url)
        raise ValueError("no network")

    monkeypatch.setattr(gradio.processing_utils, "async_ssrf_protected_download", fetch)
    for values in (
        (SHIPPED, as_file("http://example.com/a.png")),
        (SHIPPED, as_file("HTTPS://example.com/a.png")),
        (as_file("http://example.com/a.png"), None),
        ([as_file("http://example.com/a.png")], None),
        ({"a": as_file("http://example.com/a.png")}, None),
    ):
        assert "process_completed" in call(address, *values)
    assert not fetched
    with monkeypatch.context() as patch:
        from mpafer.app.page import OwnFilesOnly

        patch.setattr(OwnFilesOnly, "preprocess_data", gradio.Blocks.preprocess_data)
        call(address, SHIPPED, as_file("http://example.com/a.png"))
    assert fetched == ["http://example.com/a.png"], "the control: else it would be"


def test_what_is_too_large_is_refused(address: str) -> None:
    assert upload(address, bytes(LARGEST - 1))[0] == 200, "the control"
    assert upload(address, bytes(LARGEST + 1))[0] == 413, "by Gradio, which counts what is in the request"
    assert begun(address, f"Content-Length: {LARGEST + 100_000}").endswith("413 this file is larger than 2 MB")
    assert begun(address, "Transfer-Encoding: chunked").endswith("411 the size of this request is not known")


def test_other_names_of_this_machine_are_refused(address: str) -> None:
    """A page from elsewhere whose name was made to lead here has that name in its requests."""
    assert ask(address)[0] == 200
    assert ask(address, Host="example.com")[0] == 400


def test_the_browser_is_told_to_ask_nobody_else(address: str) -> None:
    config = json.loads(ask(f"{address}config")[1])
    assert not config["analytics_enabled"] and not config["is_colab"] and config["footer_links"] == []
    assert "fonts.googleapis" not in ask(f"{address}theme.css")[1] + ask(address)[1]


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_uploads_are_gone_at_the_end(host: str) -> None:
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    with served(Runs(device="cpu", faces="none"), host) as address:
        assert ask(address, Host="example.com")[0] == 400
        folder = uploads(address)
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0, "nobody else can read them"
    assert not folder.exists()


# --- the command


def test_messages_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit, match=f"--port {port} cannot be had: Address already in use; name another"):
            invoke("app", "--port", port)
    with pytest.raises(SystemExit, match=r"warning: --host 203\.0\.113\.7: .* without a password(.|\n)*cannot be had"):
        invoke("app", "--host", "203.0.113.7", "--port", "0")
    with pytest.raises(SystemExit, match=r"error: no results\.json under typo"):
        invoke("app", "--runs", "typo")
    with pytest.raises(SystemExit, match="error: no checkpoint at typo/prompts"):
        invoke("app", "--run", "typo")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit, match=r'error: the page needs Gradio: pip install "mpafer\[app\]"'):
        invoke("app")


def test_the_command_serves_until_it_is_ended(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("print('own methods')")
    command = [sys.executable, "-m", "mpafer", "app", "--port", "0", "--import", "own.py"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"1 model to choose from; open (\S+) in a browser", line):
                break
        else:
            pytest.fail("".join(lines))
        assert lines.count("own methods\n") == 1
        assert ask(found[1])[0] == 200 and list(tmp_path.glob("mpafer-app-*"))
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 0 and rest == "ended; uploaded files are removed\n"
    assert not list(tmp_path.glob("mpafer-app-*")), "nothing is left"
