"""`mpafer app`: a page in the browser that answers to pictures, the webcam and videos."""

from __future__ import annotations

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@click.option("--run", default="", metavar="RUN", help="The first choice: a run's folder, or a file of mpafer.save.")
@click.option("--runs", default="", metavar="DIR", help="Finished runs in it are choices too; default: output.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another lets others in, without a password.")
@click.option("--max-mb", default=20.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Of a file.")
@click.option("--device", default="", help="cuda or cpu; default: what there is.")
@options.imports
def command(run: str, runs: str, port: int, host: str, max_mb: float, device: str) -> None:
    """A page in the browser: pictures, the webcam and videos in, each face with its expression out.

    What is uploaded stays on this machine, and is removed at the end. Ctrl-C ends it.
    """
    with clear_errors():
        from mpafer.app.server import LOCAL, need_gradio, serving

        need_gradio()
        if host not in LOCAL:
            click.echo(f"warning: --host {host}: whoever reaches this machine can use the page, without a password")
        print("Loading ...", flush=True)

        import signal
        import threading

        from mpafer.app.runs import Runs

        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: uploads are removed
        found = Runs(runs, run, device=device)
        with serving(found, host, port, int(max_mb * 2**20)) as address:
            models = f"{len(found.names)} model{'s' if len(found.names) > 1 else ''}"
            print(f"{models} to choose from; open {address} in a browser; Ctrl-C ends it", flush=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                print("ended; uploaded files are removed")
