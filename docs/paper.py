"""What is said of the paper's protocol, and of the difference from its figures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from docs import saved

from dermassist.config import TrainingConfig
from dermassist.diagnosis import Diagnosis
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.document import from_document
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.model.manifest import NOT_MEASURED

if TYPE_CHECKING:
    from dermassist.evaluation.report import EvaluationReport


#: Tables II and III of the DermAssist paper: precision, recall, F1 score.
PAPER_ACCURACY, PAPER_MACRO_F1 = "0.925", "0.92"
PAPER_CLASSES = {
    "mel": ("0.94", "0.91", "0.92"),
    "nv": ("0.93", "0.95", "0.94"),
    "bcc": ("0.90", "0.88", "0.89"),
    "akiec": ("0.89", "0.87", "0.88"),
    "bkl": ("0.91", "0.90", "0.91"),
    "df": ("0.92", "0.93", "0.92"),
    "vasc": ("0.95", "0.94", "0.94"),
}


def paper_protocol() -> str:
    """The paper's tables II and III beside ours under its protocol."""
    if not (saved.ROOT / "results" / "paper.json").is_file():
        return NOT_MEASURED
    report = saved.protocol("paper").report
    by_code = {row.code: row for row in report.summary.classes}
    rows = []
    for code, claimed in PAPER_CLASSES.items():
        measures = by_code[code].measures
        row = [str(Diagnosis.from_code(code))]
        for stated, own in zip(
            claimed, (measures.precision, measures.recall, measures.f1), strict=True
        ):
            row += [stated, f"{own.value:.2f}"]
        rows.append(tuple(row))
    header = ("Class", "Precision, paper", "ours", "Recall, paper", "ours", "F1, paper", "ours")
    overall = report.summary.overall
    sentence = (
        f"Accuracy: paper {PAPER_ACCURACY}, ours {format_estimate(overall.accuracy)}; "
        f"macro F1: paper {PAPER_MACRO_F1}, ours {format_estimate(overall.macro_f1)}."
    )
    title = "Tables II and III of the paper, and the same here"
    table = render_markdown(Table(title, header, tuple(rows)))
    return f"{sentence}\n\n{table}\n\n{_difference(report)}"


def _difference(report: EvaluationReport) -> str:
    """What the difference from the paper's figures is known to come from, and what not."""
    own = {row.code: row for row in report.summary.classes}
    images = {code: row.images for code, row in own.items()}
    recalls = {code: float(row[1]) for code, row in PAPER_CLASSES.items()}
    weighted = sum(images[code] * recalls[code] for code in images) / report.summary.images
    macro_f1 = sum(float(row[2]) for row in PAPER_CLASSES.values()) / len(PAPER_CLASSES)
    accuracy = {
        name: saved.protocol(name).report.summary.overall.accuracy.value
        for name in (saved.SHIPPED_LESION, "lesion")
    }
    gaps = {c: float(row[2]) - own[c].measures.f1.value for c, row in PAPER_CLASSES.items()}
    ordered = ", ".join(
        f"{code.upper()} {gap:.2f} ({images[code]})"
        for code, gap in sorted(gaps.items(), key=lambda item: -item[1])
    )
    recipe = (
        "- In part from the recipe: this one is short. On folds that do not leak it has "
        f"{accuracy['lesion']:.3f}, the longer one of the network that ships "
        f"{accuracy[saved.SHIPPED_LESION]:.3f}."
    )
    rest = (
        "- For the rest nothing has been found that would give it. The paper's own recipe "
        "(`configs/paper.toml`) has not been trained under this split, so what it would add is not "
        "known. By how much the paper's F1-Score is higher, class by class, with the images that "
        f"test here: {ordered}. The paper names no place where its split or weights could be had."
    )
    averages = (
        "- The paper's rows do not give its averages either. In a stratified split the recalls, "
        f"weighted by images, are the accuracy; its recalls give {weighted:.3f}, not "
        f"{PAPER_ACCURACY}. The mean of its F1-Scores is {macro_f1:.3f}."
    )
    heading = "What the difference comes from, as far as it can be told:"
    return "\n".join((heading, "", _leak(), recipe, rest, averages))


def _leak() -> str:
    """What the leak gives, image by image (``python -m benchmarks.leak``), and what else may."""
    document = saved.result("leak")

    def gains(group: str) -> str:
        accuracy, macro_f1, recall = (
            _points(from_document(Estimate, document[group][f"difference/{name}"]))
            for name in ("accuracy", "macro_f1", "melanoma_recall")
        )
        return (
            f"{accuracy} points of accuracy, {macro_f1} of macro F1 and {recall} of melanoma recall"
        )

    trained = document["trained_images"]
    every, leaking, clean = (document[name]["images"] for name in ("all", "leaking", "clean"))
    return (
        f"- From the leak: of the {every:,} images that test here, {leaking:,} are of lesions that "
        "were also trained on. Beside the networks of the lesion-grouped folds, which had not seen "
        f"the lesions, this one has {gains('leaking')} there; on the other {clean:,} it has "
        f"{gains('clean')}; over all images {gains('all')} (`python -m benchmarks.leak`). "
        f"Not all of that is the leak. {_selected()} It learned from more images, "
        f"{trained['with']:,.0f} instead of {trained['without']:,.0f}. And it is one training: the "
        "intervals are by lesion and do not hold the scatter of seeds."
    )


def _selected() -> str:
    """Which epoch tests under the paper's split, and which in the lesion-grouped folds."""
    paper, lesion = saved.protocol("paper"), saved.protocol("lesion")
    if (paper.weights, lesion.weights) != ("best", "last"):
        sys.exit("what is said of the leak is of the best epoch beside the last; say it anew")
    recipe = TrainingConfig.from_dict(paper.recipe, where="results/paper.json").optimisation
    epochs = recipe.epochs_to_run // recipe.validate_every
    return (
        f"This network is the best of {epochs} validated epochs by macro F1 on these very images; "
        "those of the folds are the last epoch's."
    )


def _points(estimate: Estimate) -> str:
    """Return a difference in percentage points with its interval."""
    value, low, high = (100.0 * each for each in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
