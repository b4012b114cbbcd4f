"""LaTeX tables: what is bold, underlined and marked, any text as pdflatex can print it; and they compile."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.results import write_run

from mpafer.ablation import main as ablation
from mpafer.compare import main as compare
from mpafer.results.ablation import note_plan
from mpafer.results.latex import as_latex, escape
from mpafer.results.table import Table, differences, is_significant, mean, text
from mpafer.runs.ablation_plan import make_config, plan

PAPER = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{STEM}\end{document}"
NAMES = ["surprise", "joie_100%", "Ärger & Wut", "怒り"]
ROWS = [
    {"method": "MPAFER", "war": 90.0, "war_sd": 0.5, "ece": 4.0, "ece_sd": None, "difference": None, "p_holm": None},
    {"method": "Co_Op", "war": 80.004, "war_sd": 1.0, "ece": 2.0, "ece_sd": None, "difference": -10.0, "p_holm": 0.01},
    {"method": "VPT", "war": 80.001, "war_sd": None, "ece": None, "ece_sd": None, "difference": 1.0, "p_holm": 0.5},
]
for row in ROWS:
    row |= {"difference_low": -11.0, "difference_high": 2.0, "p": 0.01}


def test_best_second_and_significant_are_marked() -> None:
    columns = [text("method", "method"), mean("WAR %", "war"), mean("ECE", "ece", lower_is_better=True)]
    made = as_latex([("A & B", Table([*columns, *differences("MPAFER")], ROWS, is_significant))], "rafdb_16")
    lines = [line.removesuffix(r" \\") for line in made.splitlines() if line.endswith(r"\\")]
    assert lines == [
        r"method & WAR \% & ECE & $\Delta$WAR to MPAFER & 95 \% interval & p & p\_holm",
        r"MPAFER & \textbf{90.00} $\pm$ 0.50 & \underline{4.00} & - & - & - & -",
        r"Co\_Op$^{*}$ & \underline{80.00} $\pm$ 1.00 & \textbf{2.00} & $-$10.00 & $-$11.00 to +2.00 & 0.0100 & 0.0100",
        r"VPT & \underline{80.00} & - & +1.00 & $-$11.00 to +2.00 & 0.0100 & 0.5000",
    ], "equal as shown, equal in rank"
    assert r"\caption{A \& B.}" in made and r"\label{tab:rafdb-16-1}" in made and r"\begin{tabular}{lrrrrrr}" in made
    for rule in ("top", "mid", "bottom"):
        assert made.count(f"\\{rule}rule") == 1
    alone = as_latex([("T", Table(columns, ROWS[:1]))], "x")
    assert "textbf{90" not in alone, "of one row nothing is best"


def test_any_text_is_printed() -> None:
    assert escape("a_b & 50 % #1 ^~") == r"a\_b \& 50 \% \#1 \textasciicircum{}\textasciitilde{}"
    assert escape("τ = λ Δ\nx\\{}") == r"$\tau$ = $\lambda$ $\Delta$ x\textbackslash{}\{\}"
    assert escape("Ärger – 怒") == "Ärger -- U+6012"


def make_runs(folder: Path) -> None:
    """Of the ablation of the alignment and of CoOp, two seeds each; classes with hard names."""
    labels = np.arange(40) % 4
    planned = plan("alignment", "sketchfer", "tiny")
    for number, (label, words) in enumerate([*planned.items(), ("CoOp", [])]):
        config = make_config("sketchfer", "tiny", words)
        trainer = "CoOp" if label == "CoOp" else "MPAFER"
        group = folder / trainer / f"tiny_all{number}"
        for seed in (1, 2):
            named = (labels + (np.arange(40) < 8 * number + seed)) % 4
            write_run(
                group / f"seed{seed}", trainer=trainer, dataset="SketchFER", seed=seed, classnames=NAMES,
                config=config, images=[f"{i}.png" for i in range(40)], labels=labels, scores=5.0 * np.eye(4)[named],
                learnable_values=7,
            )  # fmt: skip
        if trainer == "MPAFER":
            note_plan("alignment", "tiny_all", {label: group})


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_tables_of_a_comparison_and_an_ablation_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_runs(tmp_path / "runs")
    compare([str(tmp_path / "runs"), "--out", str(tmp_path), "--reference", "MPAFER tiny_all2"])
    ablation(["alignment", str(tmp_path / "runs"), "--out", str(tmp_path)])
    for stem, tables in (("comparison", 3), ("ablation", 3)):
        made = (tmp_path / f"{stem}.tex").read_text()
        assert len(re.findall(r"\\begin{table}", made)) == tables and "U+6012" in made
        document = (
            f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\\input{{{stem}}}\\end{{document}}"
        )
        (tmp_path / f"paper_{stem}.tex").write_text(document)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"paper_{stem}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / f"paper_{stem}.pdf").read_bytes().startswith(b"%PDF-")
    (tmp_path / "paper_ablation.tex").write_text(r"\documentclass{article}\begin{document}50 % & 3\end{document}")
    spoilt = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert spoilt.returncode != 0, "the control: a text that is not escaped does not compile"
