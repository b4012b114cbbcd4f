"""OpenCV, which the extra `faces` brings."""

from __future__ import annotations

from typing import Any

from mpafer.common.errors import MissingPackageError


def load_cv2() -> Any:
    """OpenCV.

    Raises:
        MissingPackageError: it is not there, or cannot be loaded.
    """
    try:
        import cv2
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
            raise MissingPackageError('finding faces needs OpenCV: pip install "mpafer[faces]"') from error
        raise MissingPackageError(
            f"OpenCV cannot be loaded ({error}): on a machine without a screen take the one that needs none, "
            "pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # no remarks on its own insides
    return cv2
