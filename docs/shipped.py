"""What is said of the model that ships."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from docs import saved, sources
from docs.protocols import subgroups

from dermassist.decisions import DecisionMeasures
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.decision_tabulation import (
    calibration_table,
    heatmap_table,
    referral_table,
    set_table,
)
from dermassist.evaluation.document import from_document
from dermassist.evaluation.localisation import LocalisationSummary
from dermassist.evaluation.report import EvaluationReport
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.evaluation.tabulation import class_table, confusion_table, overall_table
from dermassist.explain.caution import NAMED_ANYWAY_SHARE
from dermassist.measured import commonest_answer, read_measured
from dermassist.model.bundle import bundle_directory, read_bundle
from dermassist.model.manifest import NOT_MEASURED, Manifest

if TYPE_CHECKING:
    from collections.abc import Sequence


VARIANT_ROWS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "malignancy_auc": "Malignancy AUC",
    "log_loss": "Log loss (nats)",
    "calibration_error": "Expected calibration error",
}
VARIANT_REFERRAL_ROWS = {
    "sensitivity": "Malignant images referred",
    "melanoma_sensitivity": "Melanomas referred",
    "specificity": "Benign images not referred",
}
VARIANT_HEATMAP_ROWS = {
    "peak": "Heatmap's peak inside the lesion mask",
    "energy": "Share of its evidence inside the mask",
}


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


#: What each class holds, in a few words; the summaries of ``diagnosis.py`` in full.
HELD = {
    "mel": "melanoma",
    "bcc": "basal cell carcinoma",
    "akiec": "actinic keratosis, Bowen's disease",
    "nv": "melanocytic nevus (mole)",
    "bkl": "seborrhoeic keratosis, solar lentigo and the like",
    "df": "dermatofibroma",
    "vasc": "angioma and other vascular lesions",
}


def diagnoses() -> str:
    """The seven diagnoses, and which of them count as malignant."""
    rows = (
        (each.code.upper(), HELD[each.code], "malignant" if each.malignant else "benign")
        for each in (Diagnosis.from_code(code) for code in HELD)
    )
    return saved.text_table(("Code", "Diagnosis", "Counted as"), rows)


def facts() -> str:
    """What a reader must know before the first answer."""
    answers = saved.answers()
    named = answers.probabilities.argmax(axis=1)
    melanomas = answers.labels == Diagnosis.MEL.index
    hits, moles = (
        int((named[melanomas] == each.index).sum()) for each in (Diagnosis.MEL, Diagnosis.NV)
    )
    everything = sources.count(answers)
    rule = read_bundle().manifest.referral
    if rule is None:
        raise SystemExit("the bundled model has no referral threshold")
    return (
        f"- It is often wrong. Of {melanomas.sum()} test images of melanomas it named {hits} "
        f"melanoma, and {moles} a mole. Of all {everything.images:,} test images, "
        f"{(answers.labels == Diagnosis.NV.index).mean():.0%} of them moles, it named "
        f"{everything.right / everything.images:.0%} right.\n"
        "- An image is **referred** (have it seen) where the probabilities of MEL, BCC and AKIEC "
        f"add up to {rule.threshold:.1%} or more. That found {everything.found} of "
        f"{everything.malignant} malignant test images, and referred "
        f"{everything.alarms / everything.benign:.0%} of the benign ones."
    )


def performance() -> str:
    """The few numbers that a reader asks for first."""
    document, report = saved.metrics()
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
    table = Table("Measured on the test fold", header, rows, (saved.error_intervals(),))
    return f"{render_markdown(table)}\n\nProtocol: {document['protocol']}."


def full_performance() -> str:
    """Every table of the evaluation, and the heatmaps'."""
    document, report = saved.metrics()
    tables = (overall_table(report), class_table(report), confusion_table(report))
    blocks = [f"Protocol: {document['protocol']}."] + [render_markdown(table) for table in tables]
    blocks += [decisions(), sources.by_source()]
    if document["heatmaps"] is not None:
        blocks.append(_heatmaps(from_document(LocalisationSummary, document["heatmaps"])))
    blocks.append(subgroups(report))
    return "\n\n".join(blocks)


def decisions() -> str:
    """What temperature, threshold and sets were measured to do."""
    document, report = saved.metrics()
    measures = from_document(DecisionMeasures, document["decisions"])
    error = report.summary.overall.calibration_error
    tables = [calibration_table(measures.error_before, error)]
    if measures.referral is not None:
        tables.append(referral_table(measures.referral))
    if measures.sets is not None:
        tables.append(set_table(measures.sets))
    return "\n\n".join(render_markdown(table) for table in tables)


def heatmaps() -> str:
    """How often the heatmap's peak lies on the lesion, beside the honest baseline."""
    document, _ = saved.metrics()
    return _heatmaps(from_document(LocalisationSummary, document["heatmaps"]))


def _heatmaps(summary: LocalisationSummary) -> str:
    return render_markdown(heatmap_table(summary))


def variant() -> str:
    """The model that ships beside its variant with mirrored views, on the same test fold."""
    _, plain = saved.metrics()
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


def overconfidence() -> str:
    """How sure answers were, and how often they were right, above and below the surest bin."""
    _, report = saved.metrics()
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
    answers = saved.answers()
    counts = sources.count(answers)
    referred = counts.found + counts.alarms
    melanomas = int((~answers.referred & (answers.labels == Diagnosis.MEL.index)).sum())
    return (
        f"On the test fold {counts.found / counts.malignant:.1%} of the malignant images were "
        f"referred, and {counts.alarms / counts.benign:.1%} of the benign ones. Of the "
        f"{referred:,} images that were referred, {counts.found} ({counts.found / referred:.0%}) "
        f"were malignant; of the {counts.images - referred:,} that were not, "
        f"{counts.malignant - counts.found}, {melanomas} of them melanomas. "
        f"{sources.easy_source()}"
    )


def named_in_sets() -> str:
    """How many sets name each diagnosis, and why one that nearly all name is there."""
    document, _ = saved.metrics()
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
    answers = saved.answers()
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
    saved.check_model("class_mix", saved.result("class_mix")["graph_sha256"])
    return saved.written("class_mix")


def healthy_skin() -> str:
    """What is said of skin without a lesion, from ``python -m benchmarks.healthy_skin``."""
    document = saved.result("healthy_skin")
    saved.check_model("healthy_skin", document["model"]["graph_sha256"])
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
        "and no remark of any kind (`python -m benchmarks.healthy_skin --data ham10000`)."
    )
