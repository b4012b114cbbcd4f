"""Trained models for elsewhere: ONNX files that need neither torch nor this package."""

from mpafer.export.parity import Parity
from mpafer.export.write import export_onnx

__all__ = ["Parity", "export_onnx"]
