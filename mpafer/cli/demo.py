"""`mpafer demo`: the whole chain on drawn faces."""

from __future__ import annotations

from typing import Any

import click

from mpafer.cli import options
from mpafer.common.errors import clear_errors


@click.command()
@options.many
def command(**chosen: Any) -> None:
    """No download, a few minutes: zero-shot CLIP, CoOp and MPA-FER on drawn faces, with the tiny CLIP, one seed."""
    with clear_errors():
        from mpafer.results.experiments import ALL
        from mpafer.runs.plan import experiment

        given = click.get_current_context().get_parameter_source
        default = {"out": "output/demo", "seeds": (1,)}
        chosen |= {key: value for key, value in default.items() if given(key) is click.core.ParameterSource.DEFAULT}
        place = options.place(chosen)
        jobs = [
            job
            for method in ("ZeroshotCLIP", "CoOp", "MPAFER")
            for job in experiment(method, "sketchfer", "tiny", ALL, (), chosen["seeds"], place)
        ]
        options.run_and_report(jobs, options.how(chosen, live=True))
        if not chosen["plan"]:
            print(
                "\nEach folder holds log.txt, results.json (metrics, confusion matrix, predictions) and the learned "
                f"prompts: {place.out}"
            )
