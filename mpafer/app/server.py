"""The page's server: on this machine alone, with nothing of Gradio's that asks elsewhere."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mpafer.common.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    from mpafer.app.runs import Runs

LOCAL = ("127.0.0.1", "localhost", "::1")


def need_gradio() -> None:
    """Raises MissingPackageError where Gradio is not installed."""
    if find_spec("gradio") is None:
        raise MissingPackageError('the page needs Gradio: pip install "mpafer[app]"')


@contextmanager
def serving(runs: Runs, host: str, port: int, largest: int) -> Iterator[str]:
    """A context in which the page is served; gives its address. At its end all uploaded files are removed.

    Args:
        runs: to choose from.
        host, port: where; port 0 = any that is free.
        largest: bytes of an upload.

    Raises:
        MissingPackageError: no Gradio.
        OptionError: host or port cannot be had.
    """
    need_gradio()
    port = _free_port(host, port)
    with tempfile.TemporaryDirectory(prefix="mpafer-app-") as made:
        folder = Path(made).resolve()
        _own_environment(folder)

        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from mpafer.app.gate import Gate
        from mpafer.app.page import STYLE, THEME, build

        hosts = [*LOCAL, "[::1]"] if host in LOCAL else ["*"]  # another site's name for this machine is refused
        gates = [Middleware(TrustedHostMiddleware, hosts), Middleware(Gate, uploads=str(folder), largest=largest)]
        page = build(runs, folder)
        name = f"[{host}]" if ":" in host else host  # as it stands in an address
        page.launch(
            server_name=name, server_port=port, max_file_size=largest, allowed_paths=[], blocked_paths=_blocked(folder),
            app_kwargs={"middleware": gates}, theme=THEME, css_paths=STYLE, footer_links=[],
            share=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, run_history=False,
            inbrowser=False, inline=False, quiet=True, prevent_thread_lock=True, show_error=True,
        )  # fmt: skip
        try:
            yield f"http://{name}:{port}/"
        finally:
            page.close(verbose=False)


def _own_environment(folder: Path) -> None:
    """Gradio's variables hold what is said here, whatever was exported; it asks its own server without a proxy."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *LOCAL]))


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0; raises OptionError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            return int(tried.getsockname()[1])
    except OSError as error:
        cure = "; name another --port, 0 = any that is free" if port else ""
        raise OptionError(f"--host {host} --port {port} cannot be had: {error.strerror or error}{cure}") from error


def _blocked(folder: Path) -> list[str]:
    """Folders of which Gradio shall show nothing, beside that it is allowed nothing but the uploads."""
    return [str(path) for path in (Path.cwd(), Path.home()) if not folder.is_relative_to(path)]
