"""Faces drawn from facial action units, and the data sets SketchFER and SketchFERB.

from mpafer.sketch import generate_dataset
folder = generate_dataset(Path("data"))
"""

from .generate import SKETCHFER, SKETCHFER_B, Domain, generate_dataset, is_complete
from .identity import Identity, sample_identity
from .render import Rendering, render
from .style import Style, sample_style
from .units import CLASSES, PROTOTYPES, UNITS, ActionUnits, sample_expression

__all__ = [
    "CLASSES",
    "PROTOTYPES",
    "SKETCHFER",
    "SKETCHFER_B",
    "UNITS",
    "ActionUnits",
    "Domain",
    "Identity",
    "Rendering",
    "Style",
    "generate_dataset",
    "is_complete",
    "render",
    "sample_expression",
    "sample_identity",
    "sample_style",
]
