"""Fill the generated blocks of the documents from saved results; no number is typed by hand.

    python docs/generate.py            rewrite the blocks
    python docs/generate.py --check    exit with 1 if a block is not up to date

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dermassist.config import TrainingConfig
from dermassist.decisions import SET_COVERAGE, DecisionMeasures
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.decision_tabulation import (
    calibration_table,
    heatmap_table,
    own_errors,
    pooled_title,
    referral_table,
    set_table,
)
from dermassist.evaluation.document import from_document
from dermassist.evaluation.localisation import LocalisationSummary
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.report import EvaluationReport
from dermassist.evaluation.summary import Summary
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.evaluation.tabulation import (
    class_table,
    confusion_table,
    overall_table,
    subgroup_table,
)
from dermassist.explain.caution import NAMED_ANYWAY_SHARE
from dermassist.measured import commonest_answer, read_measured
from dermassist.model.bundle import bundle_directory, read_bundle
from dermassist.model.manifest import NOT_MEASURED, Manifest
from dermassist.pooling import ProtocolFigures, TrialFigures
from dermassist.storage import write_text

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "MODEL_CARD.md",
    "docs/preprocessing.md",
    "docs/experiments.md",
    "docs/memetic.md",
    "docs/protocols.md",
)
BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrite or check every document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [name for name in DOCUMENTS if not _is_current(ROOT / name, write=not check)]
    if check and stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run  make docs")


def rendered(text: str) -> str:
    """Return a document with every block filled."""
    return BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m['name']]()}\n{m[3]}", text)


def _is_current(path: Path, *, write: bool) -> bool:
    before = path.read_text(encoding="utf-8")
    after = rendered(before)
    if write and after != before:
        write_text(path, after)
    return after == before


def _metrics() -> tuple[dict[str, Any], EvaluationReport]:
    metrics = read_bundle().manifest.metrics
    if metrics is None:
        sys.exit("the bundled model has not been evaluated; run  dermassist evaluate --store")
    return metrics, EvaluationReport.from_dict(metrics["report"])


def performance() -> str:
    """The few numbers that a reader asks for first."""
    document, report = _metrics()
    overall = report.summary.overall
    recall = report.summary.classes[Diagnosis.MEL.index].measures.recall
    referral = from_document(DecisionMeasures, document["decisions"]).referral
    estimates = {
        "Accuracy": overall.accuracy,
        "Balanced accuracy": overall.balanced_accuracy,
        "Macro F1": overall.macro_f1,
        "Melanomas answered as melanoma": recall,
    }
    if referral is not None:
        estimates |= {
            "Melanomas referred": referral.melanoma_sensitivity,
            "Malignant images referred": referral.sensitivity,
            "Benign images not referred": referral.specificity,
        }
    estimates |= {
        "Macro AUC": overall.macro_auc,
        "Expected calibration error": overall.calibration_error,
    }
    rows = tuple((label, format_estimate(value)) for label, value in estimates.items())
    header = ("Measure", "Value [95 % interval]")
    table = Table("Measured on the test fold", header, rows, (_error_intervals(),))
    return f"{render_markdown(table)}\n\nProtocol: {document['protocol']}."


def _error_intervals() -> str:
    """Say how often the interval of a calibration error holds the truth, as it was counted."""
    # A truth of 0, which the interval holds least often, is none that was found here.
    held = [
        row["printed"]
        for row in _result("calibration_interval")["rows"]
        if row["error"] > 0 and row["images"] >= COUNTED_IMAGES
    ]
    return (
        "The interval of a calibration error is too narrow: on made-up samples of "
        f"{COUNTED_IMAGES:,} images or more with a known error above 0 it held the truth in "
        f"{min(held):.2f} to {max(held):.2f} of them, not in 0.95."
    )


def overconfidence() -> str:
    """How sure answers were, and how often they were right, above and below the surest bin."""
    _, report = _metrics()
    bins = report.reliability
    parts = []
    # The bins of 15 that lie above one half, the last of them alone.
    for first, last in ((8, 14), (14, 15)):
        inside = range(first, last)
        images = sum(bins.count[k] for k in inside)
        said = sum(bins.count[k] * bins.confidence[k] for k in inside if bins.count[k]) / images
        right = sum(bins.count[k] * bins.accuracy[k] for k in inside if bins.count[k]) / images
        low, high = bins.edges[first], bins.edges[last]
        between = f"between {low:.0%} and {high:.0%}" if last < 15 else f"above {low:.0%}"
        parts.append(
            f"given with a confidence {between} ({said:.0%} in the mean) were right in {right:.0%} "
            f"of {images} images"
        )
    return f"On the test fold, answers {parts[0]}; those {parts[1]}. {_right_by_answer()}"


def _right_by_answer() -> str:
    """Tell the commonest answer, which speaks for all where they are counted together, apart."""
    measured = read_measured(read_bundle().manifest)
    answered = None if measured is None else measured.answered
    if answered is None:
        raise SystemExit("the bundle has no figures of each answer; store its evaluation again")
    commonest = commonest_answer(answered)
    others = [answered[each.index] for each in DIAGNOSES if each is not commonest]
    said = []
    for group in (others, [answered[commonest.index]]):
        for places in (range(8, 14), range(14, 15)):
            counted = [(bins.count[k], bins.accuracy[k]) for bins in group for k in places]
            images = sum(count for count, _ in counted)
            right = sum(count * share for count, share in counted if count) / images
            said.append(f"{right:.0%} of {images}")
    code = commonest.code.upper()
    return (
        f"**In these two ranges, answers other than {code} were right in {said[0]} and {said[1]} "
        f"images**, {code} in {said[2]} and {said[3]}. The report compares an answer with its like."
    )


def missed() -> str:
    """How many malignant images of the test fold were not referred, from the kept answers."""
    answers = PredictionTable.read(ROOT / "results" / "ship" / "plain.csv")
    malignant = np.isin(answers.labels, [each.index for each in Diagnosis if each.malignant])
    left = ~answers.referred
    melanomas = int((left & (answers.labels == Diagnosis.MEL.index)).sum())
    return (
        f"On the test fold {answers.referred[malignant].mean():.1%} of the malignant images were "
        f"referred, and {answers.referred[~malignant].mean():.1%} of the benign ones. Of the "
        f"{left.sum():,} images that were not referred, {(left & malignant).sum()} were malignant, "
        f"{melanomas} of them melanomas."
    )


def named_in_sets() -> str:
    """How many sets name each diagnosis, and why one that nearly all name is there."""
    document, _ = _metrics()
    sets, rule = (
        from_document(DecisionMeasures, document["decisions"]).sets,
        read_bundle().manifest.conformal,
    )
    if sets is None or rule is None:
        return f"How many sets name each diagnosis: {NOT_MEASURED}."
    cells = ", ".join(f"{d.code.upper()} {sets.named[d.index].value:.1%}" for d in Diagnosis)
    sentences = [f"Share of all sets of the test fold that name a diagnosis, true or not: {cells}."]
    sentences += [
        f"**That a set names {d.code.upper()} tells next to nothing**: for its coverage it joins "
        f"at a probability of {rule.thresholds[d.code]:.2%}, which rests on "
        f"{rule.calibration_lesions[d.code]} lesions."
        for d in Diagnosis
        if sets.named[d.index].value >= NAMED_ANYWAY_SHARE
    ]
    return " ".join(sentences)


def class_mix() -> str:
    """What each diagnosis is given in the mean, and how often it is the true one."""
    answers = PredictionTable.read(ROOT / "results" / "ship" / "plain.csv")
    given = answers.probabilities.mean(axis=0)
    true = np.bincount(answers.labels, minlength=len(given)) / len(answers.labels)
    cells = ", ".join(
        f"{diagnosis.code.upper()} {given[diagnosis.index]:.1%} ({true[diagnosis.index]:.1%})"
        for diagnosis in Diagnosis
    )
    return (
        "**Rare diagnoses are given too much**, because they weighed more in training. Mean "
        f"probability on the test fold, and in brackets the share of the images: {cells}."
    )


def class_mix_undone() -> str:
    """What undoing the class weights gives, from ``python -m benchmarks.class_mix``."""
    _check_model("class_mix", _result("class_mix")["graph_sha256"])
    return _written("class_mix")


def _check_model(name: str, graph_sha256: str) -> None:
    if graph_sha256 != read_bundle().manifest.files["model.onnx"].sha256:
        sys.exit(f"results/{name}.json is of another model; run  benchmarks.{name}")


def healthy_skin() -> str:
    """What is said of skin without a lesion, from ``python -m benchmarks.healthy_skin``."""
    document = _result("healthy_skin")
    _check_model("healthy_skin", document["model"]["graph_sha256"])
    skin, lesions = document["skin"], document["lesions"]

    def share(part: dict[str, Any], name: str) -> str:
        estimate = from_document(Estimate, part[name])
        return f"{estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}]"

    called = "called_no_lesion"
    malignant = [lesions["by_class"][each.code] for each in Diagnosis if each.malignant]
    missed, of = (sum(own[key] for own in malignant) for key in (called, "images"))
    return (
        f"**Healthy skin is answered as if it were a lesion.** Of {skin['views']:,} views of skin "
        f"cut out beside the lesions of the test fold (some of it pigmented), "
        f"{share(skin, 'sure')} were given one of the seven diagnoses with more than 90 % "
        f"confidence. {share(skin, called)} were remarked on "
        f'as "no lesion found"; so were {share(lesions, called)} of the {lesions["images"]:,} '
        f"images with a lesion, among them {missed} of {of} malignant ones. "
        f"{share(skin, 'sure_without_remark')} had more than 90 % confidence "
        "and no remark of any kind (`python -m benchmarks.healthy_skin`)."
    )


def variant() -> str:
    """The model that ships beside its variant with mirrored views, on the same test fold."""
    _, plain = _metrics()
    mirrored = read_bundle(bundle_directory(None, tta=True)).manifest
    if mirrored.metrics is None:
        sys.exit("the variant has not been evaluated; run  dermassist evaluate --tta --store")
    tta = EvaluationReport.from_dict(mirrored.metrics["report"])
    documents = [
        manifest.metrics
        for manifest in (read_bundle().manifest, mirrored)
        if manifest.metrics is not None
    ]
    decided = [from_document(DecisionMeasures, each["decisions"]).referral for each in documents]
    located = [from_document(LocalisationSummary, each["heatmaps"]).averages for each in documents]
    rows = (
        *_side_by_side(VARIANT_ROWS, [each.summary.overall for each in (plain, tta)]),
        *_side_by_side(VARIANT_REFERRAL_ROWS, decided),
        *_side_by_side(VARIANT_HEATMAP_ROWS, located),
    )
    header = ("Measure", "As it ships", "With `--tta`")
    return render_markdown(Table("On the same test fold", header, rows))


def _side_by_side(labels: dict[str, str], measures: Sequence[Any]) -> list[tuple[str, ...]]:
    """Return a row for each measure: its label, and its estimate in each of the sets."""
    return [
        (label, *(format_estimate(getattr(each, name)) for each in measures))
        for name, label in labels.items()
    ]


def full_performance() -> str:
    """Every table of the evaluation, and the heatmaps'."""
    document, report = _metrics()
    tables = (overall_table(report), class_table(report), confusion_table(report))
    blocks = [f"Protocol: {document['protocol']}."] + [render_markdown(table) for table in tables]
    blocks.append(decisions())
    if document["heatmaps"] is not None:
        blocks.append(_heatmaps(from_document(LocalisationSummary, document["heatmaps"])))
    return "\n\n".join(blocks)


def heatmaps() -> str:
    """How often the heatmap's peak lies on the lesion, beside the honest baseline."""
    document, _ = _metrics()
    return _heatmaps(from_document(LocalisationSummary, document["heatmaps"]))


def decisions() -> str:
    """What temperature, threshold and sets were measured to do."""
    document, report = _metrics()
    measures = from_document(DecisionMeasures, document["decisions"])
    error = report.summary.overall.calibration_error
    tables = [calibration_table(measures.error_before, error)]
    if measures.referral is not None:
        tables.append(referral_table(measures.referral))
    if measures.sets is not None:
        tables.append(set_table(measures.sets))
    return "\n\n".join(render_markdown(table) for table in tables)


def _heatmaps(summary: LocalisationSummary) -> str:
    return render_markdown(heatmap_table(summary))


def model() -> str:
    """What the bundled model is."""
    bundle = read_bundle()
    manifest = bundle.manifest
    lines = [
        f"- Name and version: {manifest.name} {manifest.version}",
        f"- Hash of the manifest: `{bundle.sha256}`",
        (
            f"- Network: {manifest.architecture['name']}; "
            f"{manifest.architecture['parameters']:,} parameters"
        ),
        f"- Input: {manifest.architecture['input']}",
        f"- Licence of the weights: {manifest.licence}",
        f"- {manifest.attribution}",
        f"- Temperature, fitted on validation lesions: {manifest.temperature:.3f}",
        f"- Referral threshold on the malignant sum: {_referral(manifest)}",
        f"- Prediction sets: {_sets(manifest)}",
    ]
    return "\n".join(lines)


def _referral(manifest: Manifest) -> str:
    rule = manifest.referral
    if rule is None:
        return NOT_MEASURED
    wanted = f"{rule.target_sensitivity:.0%} sensitivity"
    return f"{rule.threshold:.3f}, chosen on validation lesions for {wanted}"


def _sets(manifest: Manifest) -> str:
    rule = manifest.conformal
    if rule is None:
        return NOT_MEASURED
    lesions = ", ".join(f"{code.upper()} {n}" for code, n in rule.calibration_lesions.items())
    small = ", ".join(code.upper() for code in rule.not_guaranteed) or "none"
    return (
        f"{rule.coverage:.0%} per class (class-conditional split conformal), calibrated on "
        f"validation lesions kept apart ({lesions}); too few for a promise of their own: {small}"
    )


def geometry_enlargements() -> str:
    """Quality of the answers for each side that the square can be enlarged to."""
    document = _result("geometry")
    columns = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    rows = tuple(
        (f"{row['network_px']} px", row["variant"], *(f"{row[column]:.3f}" for column in columns))
        for row in document["enlargements"]
    )
    header = ("Enlarged to", "View", "Accuracy", "Balanced accuracy", "Macro F1", "Log loss")
    return render_markdown(Table(f"On {document['part']}", header, rows))


def geometry_choices() -> str:
    """Quality of the answers for each way into the square."""
    document = _result("geometry")
    columns = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    rows = tuple(
        (f"fit {row['fit']:g}, {row['fill']}", *(f"{row[column]:.3f}" for column in columns))
        for row in document["choices"]
    )
    header = ("Window", "Accuracy", "Balanced accuracy", "Macro F1", "Log loss")
    return render_markdown(Table(f"On {document['part']}", header, rows))


def geometry_stability() -> str:
    """How far answers move when the same image comes changed."""
    document = _result("geometry")
    rows = tuple(
        (
            row["change"],
            f"{row['fit']:g}",
            f"{row['mean_probability_moved']:.3f}",
            f"{row['p95_probability_moved']:.3f}",
            f"{row['same_diagnosis']:.1%}",
        )
        for row in document["stability"]
    )
    header = ("Change", "Fit", "Probability moved, mean", "95th percentile", "Same diagnosis")
    title = f"{document['stability_images']} images, before and after a change"
    return render_markdown(Table(title, header, rows))


def artifacts() -> str:
    """What the artifact steps change."""
    document = _result("artifact")
    rows = tuple(
        (
            f"{step}, {kind} images",
            f"{document[kind][step]['mean_grey_levels_changed']:.2f}",
            f"{document[kind][step]['share_of_pixels_changed_visibly']:.2%}",
        )
        for step in document["clean"]
        for kind in ("clean", "all")
    )
    header = ("Step", "Grey levels changed, mean", "Pixels changed by more than 8 levels")
    title = (
        f"{document['clean_images']} training images without hair, {document['images']} of any kind"
    )
    hair = document["drawn_hair"]
    sentence = (
        f"Hair is found in {document['clean_share_with_hair_found']:.0%} of the clean images. "
        f"Drawn on them, {hair['share_of_hair_pixels_found']:.0%} of its "
        f"pixels are found; the error under them falls from {hair['mean_error_before']:.0f} to "
        f"{hair['mean_error_after']:.0f} grey levels."
    )
    return f"{render_markdown(Table(title, header, rows))}\n\n{sentence}"


def speed() -> str:
    """Measured speed beside its bars."""
    document = _result("speed")
    rows = tuple(
        (line["name"], f"{line['value']:.2f} {line['unit']}", *_bar(line))
        for line in (*document["lines"], *_result("app")["lines"])
    )
    title = f"One run on {document['machine']['cores']} CPU cores, no GPU"
    return render_markdown(Table(title, ("Measure", "Measured", "Bar", ""), rows))


def _bar(line: dict[str, Any]) -> tuple[str, str]:
    if line["limit"] is None:
        return ("none", "")
    limit = f"{'at least' if line['at_least'] else 'at most'} {line['limit']:g} {line['unit']}"
    return (limit, "met" if line["met"] else "missed")


def training_speed() -> str:
    """Training beside a plain loop."""
    document = _result("training_speed")
    rows = (
        ("Plain loop, images a second", f"{document['plain_images_per_second']:.1f}"),
        ("`dermassist train`, images a second", f"{document['ours_images_per_second']:.1f}"),
        ("Ratio (bar: at least 2)", f"{document['ratio']:.1f}"),
        (
            "Share of its time outside forward and backward",
            f"{document['share_outside_forward_backward']:.1%}",
        ),
    )
    title = f"Training at 224 px on {document['cores']} CPU cores, median of {document['rounds']}"
    return render_markdown(Table(title, ("Measure", "Value"), rows))


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
PEER = (
    "claim of [a four-network ensemble with ResNet50 and DenseNet121](https://github.com/"
    "Cureeeeeeee/CNN-Based-Skin-Lesion-Classification-for-Early-Skin-Cancer-Detection), "
    "lesion-grouped"
)
VARIANT_REFERRAL_ROWS = {
    "sensitivity": "Malignant images referred",
    "specificity": "Benign images not referred",
}
VARIANT_HEATMAP_ROWS = {
    "peak": "Heatmap's peak inside the lesion mask",
    "energy": "Share of its evidence inside the mask",
}
VARIANT_ROWS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "malignancy_auc": "Malignancy AUC",
    "log_loss": "Log loss (nats)",
    "calibration_error": "Expected calibration error",
}
#: Protocols and the network that ships are measured on at least as many images.
COUNTED_IMAGES = 2003
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "calibration_error")


def protocol_comparison() -> str:
    """The few numbers of every protocol, beside those of others."""
    header = (
        *("Protocol", "Images", "Accuracy", "Balanced accuracy", "Macro F1", "AUC"),
        *("ECE of all answers together", "ECE of a network's own answers, mean"),
    )
    rows: list[tuple[str, ...]] = []
    lesion = _protocol("lesion")
    label = f"lesion, {_pooled(lesion)} pooled"
    rows.append((*_compared(label, lesion.report.summary), _mean_own_error(lesion.each)))
    rows += [
        (*_compared(f"lesion, {trial.name} alone", trial.summary), _mean_own_error([trial]))
        for trial in lesion.each
        if trial.name == "fold0"
    ]
    for name, label in (
        ("source", "source left out"),
        ("paper", "paper: leaks (38 % of the test lesions were trained on)"),
    ):
        if (ROOT / "results" / f"{name}.json").is_file():
            figures = _protocol(name)
            pooled = "" if figures.trials_of_protocol == 1 else f", {_pooled(figures)} pooled"
            compared = _compared(f"{label}{pooled}", figures.report.summary)
            # Its temperature was fitted on images that it reports.
            rows.append(
                (*compared[:-1], "", "")
                if name == "paper"
                else (*compared, _mean_own_error(figures.each))
            )
        else:
            rows.append((label, *[NOT_MEASURED] * (len(header) - 1)))
    rows += [
        ("the paper's own claim, image-level", "", PAPER_ACCURACY, "", PAPER_MACRO_F1, *[""] * 3),
        (PEER, "1734", "0.836", "0.803", "0.741", *[""] * 3),
    ]
    title = "One MobileNetV2, no test-time augmentation, values with 95 % intervals by lesion"
    notes = (
        (
            "ECE, the expected calibration error: together, errors of different networks cancel. "
            "Who uses a network has the error of one: the last column is the mean over networks."
        ),
        _error_intervals(),
        "The row of the paper's split has no ECE: its temperature was fitted on what it reports.",
    )
    return render_markdown(Table(title, header, tuple(rows), notes))


def _mean_own_error(trials: Sequence[TrialFigures]) -> str:
    errors = [trial.summary.overall.calibration_error.value for trial in trials]
    return f"{np.mean(errors):.3f}"


def lesion_protocol() -> str:
    """Every table of the lesion-grouped folds."""
    figures = _protocol("lesion")
    return "\n\n".join(
        [_each(figures), _own_errors(figures), _every_table(figures), _subgroups(figures.report)]
    )


def _own_errors(figures: ProtocolFigures) -> str:
    """The calibration error of a network, which pooling several of them hides."""
    own = [trial.summary.overall.calibration_error.value for trial in figures.each]
    return own_errors(own, figures.report.summary.overall.calibration_error.value)


def source_protocol() -> str:
    """Every table of the left-out sources."""
    if not (ROOT / "results" / "source.json").is_file():
        return NOT_MEASURED
    figures = _protocol("source")
    return "\n\n".join(
        [
            _gap(figures),
            _class_images(figures),
            _each(figures),
            _own_errors(figures),
            _every_table(figures),
        ]
    )


def _class_images(figures: ProtocolFigures) -> str:
    """How many images of each class every source has."""
    rows = tuple(
        (trial.name, *(str(row.images) for row in trial.summary.classes)) for trial in figures.each
    )
    header = ("Source", *(row.code.upper() for row in figures.report.summary.classes))
    return render_markdown(Table("Images of each class", header, rows))


def source_gap() -> str:
    """What leaving a source out costs, in a sentence."""
    path = ROOT / "results" / "source.json"
    figures = _protocol("source") if path.is_file() else None
    if figures is None or len(figures.each) < figures.trials_of_protocol:
        return f"How the model does on images from other cameras: {NOT_MEASURED}."
    left_out, seen = figures.report.summary.overall, _protocol("lesion").report.summary.overall
    worst = min(figures.each, key=lambda trial: trial.summary.overall.accuracy.value)
    of_worst = worst.summary.overall
    same_images = _seen_sources()[worst.name].overall
    return (
        "**Expect less from other cameras.** Of images from a source that was left out of "
        f"training, {left_out.accuracy.value:.0%} were answered right, "
        f"{seen.accuracy.value:.0%} by networks that had seen the source (balanced accuracy "
        f"{left_out.balanced_accuracy.value:.2f} and "
        f"{seen.balanced_accuracy.value:.2f}). Worst is {worst.name}: "
        f"{of_worst.accuracy.value:.0%} instead of {same_images.accuracy.value:.0%}, and a "
        f"calibration error of {of_worst.calibration_error.value:.2f} instead of "
        f"{_seen_calibration_error(worst.name):.2f}. Of malignant images "
        f"{figures.referral.sensitivity.value:.0%} were referred, but also "
        f"{1.0 - figures.referral.specificity.value:.0%} of the benign ones; prediction sets held "
        f"the true diagnosis of {figures.sets.lesion_coverage.value:.0%} of the lesions instead of "
        f"{SET_COVERAGE:.0%}."
    )


def _gap(figures: ProtocolFigures) -> str:
    """The same images, answered by networks that had seen their source and by one that had not."""
    seen = _seen_sources()
    rows = []
    for trial in figures.each:
        overall, before = trial.summary.overall, seen[trial.name].overall
        cells = [
            f"{getattr(each, name).value:.3f}"
            for name in ("accuracy", "balanced_accuracy")
            for each in (before, overall)
        ]
        errors = (_seen_calibration_error(trial.name), overall.calibration_error.value)
        cells += [f"{error:.3f}" for error in errors]
        rows.append((trial.name, str(trial.summary.images), *cells))
    header = (
        "Source",
        "Images",
        *(
            f"{label}, {state}"
            for label in ("Accuracy", "Balanced accuracy", "ECE")
            for state in ("seen", "left out")
        ),
    )
    note = (
        "Seen: by the networks of the lesion-grouped folds, which saw other lesions of the source. "
        "Averages over classes with at least 20 images. Calibration errors are of single networks: "
        "seen, the mean of the five, each on its part of the source; chance raises it more, since "
        "such a part has a fifth of the images."
    )
    return render_markdown(Table("The same images", header, tuple(rows), (note,)))


def _seen_calibration_error(source: str) -> float:
    """Return the calibration error on a source of a network that had seen it, mean of the folds'.

    Each of the lesion-grouped networks answers its own part of the source; pooled, errors of
    different networks would cancel, which those of the one that had not seen it cannot.
    """
    images = set(PredictionTable.read(ROOT / "results" / "source" / f"{source}.csv").images)
    errors = []
    for path in sorted((ROOT / "results" / "lesion").glob("fold*.csv")):
        table = PredictionTable.read(path)
        inside = np.array([image in images for image in table.images])
        errors.append(expected_calibration_error(table.labels[inside], table.probabilities[inside]))
    return float(np.mean(errors))


def _seen_sources() -> dict[str, Summary]:
    groups = _protocol("lesion").report.subgroups_of("source")
    return {group.value: group.summary for group in groups}


def paper_protocol() -> str:
    """The paper's tables II and III beside ours under its protocol."""
    if not (ROOT / "results" / "paper.json").is_file():
        return NOT_MEASURED
    report = _protocol("paper").report
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
    shipped = _metrics()[1].summary.overall.accuracy.value
    gaps = {c: float(row[2]) - own[c].measures.f1.value for c, row in PAPER_CLASSES.items()}
    ordered = ", ".join(
        f"{code.upper()} {gap:.2f} ({images[code]})"
        for code, gap in sorted(gaps.items(), key=lambda item: -item[1])
    )
    recipe = (
        "- In part from the recipe: this one is short. The longer one of the network that ships "
        f"has {shipped:.3f} on a fold that does not leak."
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
    document = _result("leak")

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
    paper, lesion = _protocol("paper"), _protocol("lesion")
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


def _every_table(figures: ProtocolFigures) -> str:
    report, networks = figures.report, len(figures.each)
    tables = (
        overall_table(report, title=f"Overall{pooled_title(networks)}"),
        class_table(report),
        confusion_table(report),
        calibration_table(
            figures.error_before, report.summary.overall.calibration_error, networks=networks
        ),
        referral_table(figures.referral),
        set_table(figures.sets),
    )
    return "\n\n".join(render_markdown(table) for table in tables)


def _subgroups(report: EvaluationReport) -> str:
    attributes = dict.fromkeys(group.attribute for group in report.subgroups)
    return "\n\n".join(render_markdown(subgroup_table(report, name)) for name in attributes)


def _each(figures: ProtocolFigures) -> str:
    header = ("Trial", "Images", "Accuracy", "Balanced accuracy", "Macro F1", "AUC", "ECE")
    rows = tuple(
        (
            *_compared(trial.name, trial.summary),
            ", ".join(code.upper() for code in trial.summary.scored),
        )
        for trial in figures.each
    )
    title = f"{_pooled(figures)}, each by its own network"
    return render_markdown(Table(title, (*header, "Classes averaged"), rows))


def _compared(label: str, summary: Summary) -> tuple[str, ...]:
    cells = (format_estimate(getattr(summary.overall, name)) for name in COMPARED)
    return (label, str(summary.images), *cells)


def _pooled(figures: ProtocolFigures) -> str:
    done, of = len(figures.each), figures.trials_of_protocol
    unit = "folds" if figures.protocol == "lesion" else "sources"
    return f"{of} {unit}" if done == of else f"{done} of {of} {unit}"


def _protocol(name: str) -> ProtocolFigures:
    return ProtocolFigures.read(ROOT / "results" / f"{name}.json")


def _result(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text())
    return document


def _written(name: str) -> str:
    """Return the table that a benchmark has written as Markdown."""
    path = ROOT / "results" / f"{name}.md"
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else NOT_MEASURED


BLOCKS: dict[str, Callable[[], str]] = {
    "screening": partial(_written, "screening"),
    "ablation": partial(_written, "ablation"),
    "averaging": partial(_written, "averaging"),
    "memetic-full": partial(_written, "memetic/full"),
    "memetic-rank": partial(_written, "memetic/rank"),
    "memetic-whole": partial(_written, "memetic/whole"),
    "calibration-interval": partial(_written, "calibration_interval"),
    "two-recipes": partial(_written, "two_recipes"),
    "table-four": partial(_written, "table_four"),
    "performance": performance,
    "overconfidence": overconfidence,
    "healthy-skin": healthy_skin,
    "missed": missed,
    "named-in-sets": named_in_sets,
    "class-mix": class_mix,
    "class-mix-undone": class_mix_undone,
    "decisions": decisions,
    "full-performance": full_performance,
    "heatmaps": heatmaps,
    "model": model,
    "variant": variant,
    "geometry-enlargements": geometry_enlargements,
    "geometry-choices": geometry_choices,
    "geometry-stability": geometry_stability,
    "artifacts": artifacts,
    "speed": speed,
    "training-speed": training_speed,
    "protocol-comparison": protocol_comparison,
    "lesion-protocol": lesion_protocol,
    "source-gap": source_gap,
    "source-protocol": source_protocol,
    "paper-protocol": paper_protocol,
}

if __name__ == "__main__":
    main()
