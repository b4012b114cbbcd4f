"""LaTeX tables: what is marked, what is escaped, and that pdflatex takes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.results import write_run

from mpafer.results.ablation import write_ablation
from mpafer.results.comparison_pages import write_comparison
from mpafer.results.cross import write_cross
from mpafer.results.latex import as_latex, escape
from mpafer.results.plans import note_plan
from mpafer.results.table import Table, differences, mean, number, text

needs_latex = pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
NASTY = r"""50 % & more_or_less #1 $x^2$ {~} \input{y} <a|b> "q" [0] -- ± Δ λ ΑΩ µ é Ł ß ı “x” 1−2 ≥ 📷 表"""


def row(method: str, accuracy: float | None, sd: float | None, ece: float, **other: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("difference", "difference_low", "difference_high", "p", "p_holm"))
    return {"method": method, "accuracy": accuracy, "accuracy_sd": sd, "ece": ece, "ece_sd": None} | empty | other


def compared(difference: float, p: float) -> dict[str, float]:
    return {
        "difference": difference, "difference_low": difference - 1, "difference_high": difference + 1,
        "p": p / 2, "p_holm": p,
    }  # fmt: skip


ROWS = [
    row("ours", 92.514, 0.2, 3.0, size=1234),
    row("CoOp_16", 92.511, None, 2.0, size=7, **compared(-0.5, 0.0499)),
    row("VPT", 90.0, 1.0, 5.0, size=None, **compared(-2.5, 0.05)),
    row("none", None, None, 9.0, size=0),
]


def lines(rows: list[dict[str, Any]]) -> list[str]:
    columns = [text("method", "method"), mean("WAR %", "accuracy"), mean("ECE %", "ece", lower_is_better=True)]
    table = Table([*columns, number("values", "size"), *differences("ours")], rows, "Source: here.")
    return as_latex([("Methods on A_B", table)], "Methods on A_B, all").splitlines()


def test_the_best_is_bold_the_second_underlined_and_what_is_significant_marked() -> None:
    written = lines(ROWS)
    assert written[written.index(r"\midrule") + 1 : written.index(r"\bottomrule")] == [
        r"ours & \textbf{92.51} $\pm$ 0.20 & \underline{3.00} & 1,234 & -- \\",
        r"CoOp\_16 & \textbf{92.51} & \textbf{2.00} & 7 & $-$0.50$^{*}$ \\",  # equal as they are shown
        r"VPT & \underline{90.00} $\pm$ 1.00 & 5.00 & -- & $-$2.50 \\",
        r"none & -- & 9.00 & 0 & -- \\",
    ]
    assert r"method & WAR \% & ECE \% $\downarrow$ & values & $\Delta$WAR to ours \\" in written


def test_a_table_is_a_float_with_caption_and_label_and_no_document() -> None:
    written = "\n".join(lines(ROWS))
    assert re.findall(r"\\(?:begin|end)\{\w+\}", written) == [
        r"\begin{table}", r"\begin{tabular}", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    assert r"\label{tab:methods-on-a-b-all-1}" in written and r"\begin{tabular}{lrrrr}" in written
    (caption,) = re.findall(r"\\caption\{(.*)\}", written)
    assert caption == (
        r"Methods on A\_B. Source: here. Mean $\pm$ sample standard deviation over n seeds. Best value bold, second "
        r"underlined. $^{*}$: differs from the reference, p \textless{} 0.05 after Holm's correction."
    )
    assert written.count("rule") == 3 and "documentclass" not in written
    plain = "\n".join(lines([row("alone", 90.0, None, 1.0, size=1)]))
    assert "textbf" not in plain and "Holm" not in plain and r"\caption{Methods on A\_B. Source: here.}" in plain


def test_any_text_is_ascii_and_escaped() -> None:
    assert escape("a_b & 5 %") == r"a\_b \& 5 \%" and escape("±Δλ") == r"$\pm$$\Delta$$\lambda$"
    assert escape("Zoë") == escape("Zoe\u0308") == r"Zo\"{e}" and escape("表") == "U+8868"
    assert escape("\\") == r"\textbackslash{}" and escape("a\n\tb") == "a b"
    assert all(escape(chr(code)).isascii() for code in range(0x3000))
    special = [char for char in map(chr, range(0x20, 0x7F)) if escape(char) == char]
    assert not set(special) & set('\\{}_&%$#~^<>|[]"')


# --- compiled


def compile_latex(folder: Path, *files: Path | str) -> tuple[int, str]:
    """Exit status and log of a document that inputs these files, or has these texts."""
    body = "\n".join(rf"\input{{{file}}}" if isinstance(file, Path) else file for file in files)
    head = r"\documentclass{article}" + "\n" + r"\usepackage{booktabs,graphicx}" + "\n" + r"\begin{document}"
    (folder / "main.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n", "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout


@needs_latex
def test_every_letter_compiles(tmp_path: Path) -> None:
    letters = [escape(chr(code)) for code in [*range(0x20, 0x600), *range(0x2010, 0x2300)]]
    nasty = [row(NASTY, 1.0, 1.0, 1.0, size=1), row("[1] after a line", 2.0, 1.0, 1.0, size=1)]
    (tmp_path / "table.tex").write_text("\n".join(lines(nasty)))
    status, log = compile_latex(tmp_path, " ".join(letters), escape(NASTY), Path("table"))
    assert status == 0, log[-2000:]
    assert compile_latex(tmp_path, "a_b")[0] != 0 and compile_latex(tmp_path, "λ")[0] != 0, "the control"


CONFIG: dict[str, Any] = {
    "DATASET": {"NUM_SHOTS": -1}, "MODEL": {"BACKBONE": {"NAME": "tiny"}}, "TRAINER": {"MPAFER": {"ALIGNMENT": "x"}},
}  # fmt: skip


def run(folder: Path, trainer: str, wrong: int, *, dataset: str = "RAFDB", **other: Any) -> Path:
    """Seven classes, three seeds, the first ``wrong`` + seed of 210 images wrong; returns the seeds' folder."""
    labels = np.arange(210) % 7
    for seed in (1, 2, 3):
        scores = np.eye(7)[(labels + (np.arange(210) < wrong + seed)) % 7]
        write_run(
            folder / f"seed{seed}", trainer=trainer, dataset=dataset, seed=seed, scores=scores, labels=labels,
            classnames=["surprise", "joie_100%", "Ärger & Wut", "λ_x", "sadness", "anger", "neutral"],
            images=[f"{place}.png" for place in range(210)], **{"config": CONFIG, "learnable_values": 640} | other,
        )  # fmt: skip
    return folder


@needs_latex
def test_every_table_compiles_and_fits_the_page(tmp_path: Path) -> None:
    runs, tables = tmp_path / "runs", tmp_path / "tables"
    for method, wrong in (("MPAFER", 5), ("CoOp", 60), ("ZeroshotCLIP", 70)):
        run(runs / method / "vit_b16_all_DATASET.FOLDER=a+b", method, wrong)
    write_comparison(runs, tables)

    folders = {}
    for label, option in (("global", "global"), ("sparse local", "local"), ("global-local", "global_local")):
        config = CONFIG | {"TRAINER": {"MPAFER": {"ALIGNMENT": option}}}
        folders[label] = run(tmp_path / "variants" / option, "MPAFER", 10 * len(label), config=config)
    note_plan("alignment", "rafdb/vit_b16_all", folders)
    write_ablation("alignment", [tmp_path / "variants"], tables)

    note = {
        "source": {"run": "output/rafdb/MPAFER/vit_b16_all/seed1", "dataset": "RAFDB", "metrics": None},
        "rule": "keep", "dropped": {"contempt": 3}, "absent": [],
    }  # fmt: skip
    run(tmp_path / "crossed/ckplus/MPAFER/vit_b16_all", "MPAFER", 5, dataset="CKPlus", cross=note)
    write_cross([tmp_path / "crossed"], tables)

    files = [tables / "comparison", tables / "ablation", tables / "cross_dataset"]
    status, log = compile_latex(tmp_path, *files)
    assert status == 0, log[-2000:]
    assert "Overfull" not in log and "multiply defined" not in log
    texts = [file.with_suffix(".tex").read_text() for file in files]
    labels = [label for written in texts for label in re.findall(r"\\label\{(.*)\}", written)]
    assert len(set(labels)) == len(labels) == 4 + 4 + 2, "results, recalls, costs, published; measured, published"
    assert r"CoOp & 3 & " in texts[0] and "$^{*}$ \\\\" in texts[0] and "92.51" in texts[1] and "54.90" in texts[2]
