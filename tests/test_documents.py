"""Numbers in the documents are generated, and every file they name is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from docs import generate, saved
from sklearn.metrics import f1_score

from dermassist import __version__
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.measured import read_measured, read_referral, read_sets
from dermassist.model.bundle import bundle_directory, read_bundle

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_generated_blocks_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    has_blocks = "<!-- generated:" in text
    assert has_blocks == (str(path.relative_to(ROOT)) in generate.DOCUMENTS)
    assert generate.rendered(text) == text, "run  make docs"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith(("http", "mailto"))]
    missing = [link for link in local if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_into_a_document_lead_to_one_of_its_headings(path: Path) -> None:
    links = re.findall(r"\]\(([^):]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    for target, anchor in links:
        other = (path.parent / target if target else path).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", other, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize(("name", "tta"), [("plain", False), ("tta", True)])
def test_kept_answers_are_those_that_the_model_was_measured_by(name: str, tta: bool) -> None:
    table = PredictionTable.read(ROOT / "results" / "ship" / f"{name}.csv")
    measured = read_measured(read_bundle(bundle_directory(None, tta=tta)).manifest)
    assert measured is not None
    counts = np.zeros((7, 7), int)
    np.add.at(counts, (table.labels, table.probabilities.argmax(axis=1)), 1)
    assert counts.tolist() == [list(row) for row in measured.report.confusion]
    # A model with other rules or probabilities can have the same diagnoses.
    given = table.probabilities[np.arange(len(table.labels)), table.labels]
    loss = measured.report.summary.overall.log_loss.value
    assert -np.log(given).mean() == pytest.approx(loss, abs=1e-4)
    manifest = read_bundle(bundle_directory(None, tta=tta)).manifest
    referral, sets = read_referral(manifest), read_sets(manifest)
    assert referral is not None
    assert sets is not None
    malignant = np.isin(table.labels, [each.index for each in Diagnosis if each.malignant])
    assert table.referred[malignant].mean() == pytest.approx(referral.sensitivity.value)
    assert 1 - table.referred[~malignant].mean() == pytest.approx(referral.specificity.value)
    held = table.sets[np.arange(len(table.labels)), table.labels]
    assert held.mean() == pytest.approx(sets.coverage.value)
    assert table.sets.mean(axis=0) == pytest.approx([each.value for each in sets.named])


@pytest.mark.parametrize("block", ["class-mix-undone", "healthy-skin"])
def test_figures_of_another_model_are_not_printed(
    block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"graph_sha256": "0" * 64}
    monkeypatch.setattr(saved, "result", lambda name: {**other, "model": other})
    with pytest.raises(SystemExit, match="is of another model; run"):
        generate.BLOCKS[block]()


def cells(text: str, label: str) -> list[list[str]]:
    """Return the cells after the first of every table row with that label."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in row[1:]] for row in rows if row[0].strip() == label]


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "docs/protocols.md"])
def test_one_calibration_error_has_one_interval(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    stated = cells(text, "Expected calibration error (15 bins)")
    assert stated
    assert cells(text, "With temperature") == stated


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md", "docs/protocols.md"])
def test_pooled_calibration_errors_stand_beside_those_of_single_networks(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    (header,) = cells(text, "Protocol")
    assert header[-2:] == ["ECE of all answers together", "ECE of a network's own answers, mean"]
    for label, recipe, folder, pattern in (
        (
            "lesion, 5 folds pooled",
            "`ship.toml`, then `settle.toml`",
            "settled/lesion",
            "fold*.csv",
        ),
        ("lesion, 5 folds pooled", "`ship.toml`", "ship/lesion", "fold*.csv"),
        ("lesion, 5 folds pooled", "`swift.toml`", "lesion", "fold*.csv"),
        ("source left out, 4 sources pooled", "`swift.toml`", "source", "*.csv"),
    ):
        tables = [PredictionTable.read(p) for p in (ROOT / "results" / folder).glob(pattern)]
        errors = [expected_calibration_error(t.labels, t.probabilities) for t in tables]
        (row,) = (row for row in cells(text, label) if row[0] == recipe)
        assert row[-1] == f"{np.mean(errors):.3f}"
        together = expected_calibration_error(
            np.concatenate([t.labels for t in tables]),
            np.concatenate([t.probabilities for t in tables]),
        )
        assert row[-2].startswith(f"{together:.3f} [")


def test_protocols_say_what_pooling_hides_wherever_answers_are_pooled() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    for section, networks in (("Lesion", 5), ("Source", 4)):
        own = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        assert "A network's own calibration error is" in own
        assert f"**Overall, answers of {networks} networks pooled**" in own
        assert f"(15 bins), answers of {networks} networks pooled**" in own


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md"])
def test_intervals_of_calibration_errors_are_called_too_narrow(name: str) -> None:
    rows = json.loads((ROOT / "results" / "calibration_interval.json").read_text())["rows"]
    held = [row["printed"] for row in rows if row["images"] >= 2003 and row["error"] > 0]
    low, high = (f"{100 * share:.0f}" for share in (min(held), max(held)))
    told = f"it held that error in {low} to {high} % of cases, not in 95 %"
    assert told in (ROOT / name).read_text("utf-8")


def test_differences_from_the_paper_stand_in_their_order() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    (listed,) = re.findall(r"class by class, with the images that test here: (.*?\))\.", text)
    found = re.findall(r"([A-Z]+) (\d\.\d\d) \((\d+)\)", listed)
    gaps = [float(gap) for _, gap, _ in found]
    assert gaps == sorted(gaps, reverse=True)
    assert {code for code, *_ in found} == {each.code.upper() for each in Diagnosis}
    table = PredictionTable.read(ROOT / "results" / "paper" / "paper.csv")
    f1 = f1_score(table.labels, table.probabilities.argmax(axis=1), average=None)
    for code, gap, images in found:
        diagnosis = Diagnosis.from_code(code.lower())
        (row,) = cells(text.partition("## Paper")[2], str(diagnosis))
        assert float(gap) == pytest.approx(float(row[4]) - f1[diagnosis.index], abs=0.0051)
        assert int(images) == (table.labels == diagnosis.index).sum()
    assert "largest for rare" not in text


def test_what_the_leak_gives_is_told_apart_from_what_selection_may() -> None:
    (told,) = re.findall(
        r"- From the leak: .*", (ROOT / "docs" / "protocols.md").read_text("utf-8")
    )
    leak = json.loads((ROOT / "results" / "leak.json").read_text())
    for group in ("all", "leaking", "clean"):
        gain = leak[group]["difference/macro_f1"]
        value, low, high = (100 * gain[name] for name in ("value", "low", "high"))
        assert f"{value:+.1f} [{low:+.1f}, {high:+.1f}] of macro F1" in told
    assert "best of 3 validated epochs by macro F1 on these very images" in told
    assert "do not hold the scatter of seeds" in told


def test_what_is_said_of_each_source_adds_up_to_what_is_said_of_all() -> None:
    card = (ROOT / "MODEL_CARD.md").read_text("utf-8")
    rows = [
        cells(card.partition("**Referral by source**")[2].partition("**Heatmaps")[0], name)[0]
        for name in ("rosendahl", "vidir_modern", "vidir_molemax", "vienna_dias")
    ]
    answers = PredictionTable.read(ROOT / "results" / "ship" / "plain.csv")
    malignant = np.isin(answers.labels, [0, 1, 4])
    for column, hits in ((0, malignant & answers.referred), (2, ~malignant & ~answers.referred)):
        images = [int(row[column]) for row in rows]
        shares = [float(row[column + 1].split()[0]) for row in rows]
        assert sum(images) == (malignant if column == 0 else ~malignant).sum()
        assert np.dot(images, shares) == pytest.approx(hits.sum(), abs=1)


def test_the_first_facts_are_those_of_the_kept_answers() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    answers = PredictionTable.read(ROOT / "results" / "ship" / "plain.csv")
    named = answers.probabilities.argmax(axis=1)
    melanomas = answers.labels == CODES.index("mel")
    assert (
        f"Of {melanomas.sum()} test images of melanomas it named "
        f"{(named[melanomas] == CODES.index('mel')).sum()} melanoma, and "
        f"{(named[melanomas] == CODES.index('nv')).sum()} a mole."
    ) in text
    malignant = np.isin(answers.labels, [0, 1, 4])
    found = (malignant & answers.referred).sum()
    assert f"That found {found} of {malignant.sum()} malignant test images" in text


def test_every_exit_status_is_explained() -> None:
    text = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    listed = re.findall(r"^\| (\d+) \| \S", text, re.MULTILINE)
    assert listed == [str(status.value) for status in ExitStatus]


def test_the_card_holds_what_is_cited_from_it() -> None:
    card = (ROOT / "MODEL_CARD.md").read_text("utf-8")
    (peak,) = cells(card, "Heatmap's peak inside the lesion mask")
    ships, mirrored = (f"{100 * float(cell.split()[0]):.1f}" for cell in peak)
    cited = (ROOT / "docs" / "experiments.md").read_text("utf-8")
    assert f"{mirrored} instead of {ships} % ([model card]" in cited
    (share,) = cells(card, "Share of its evidence inside the mask")
    for tta, cell in ((False, share[0]), (True, share[1])):
        measured = read_measured(read_bundle(bundle_directory(None, tta=tta)).manifest)
        assert measured is not None
        assert measured.heatmaps is not None
        assert cell.startswith(f"{measured.heatmaps.averages.energy.value:.3f} [")


def test_the_citation_names_the_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in text
