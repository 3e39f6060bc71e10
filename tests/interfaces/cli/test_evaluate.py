from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from dermassist.data.ham10000 import METADATA_COLUMNS, Record, read_ham10000
from dermassist.data.split import Part, Splits, make_splits, select, write_splits
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.evaluation import bootstrap, report, summary
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.report import EvaluationReport
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import read_bundle, write_bundle
from dermassist.model.manifest import ConformalRule, ReferralRule

from ...conftest import write_synthetic_ham10000
from .conftest import Outcome, Run

FOLD = 2
SQUEEZED = ("--squeezed-from", "4:3")
RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic data set of 4:3 images squeezed to squares, as masks tell; do not change it."""
    return write_synthetic_ham10000(
        tmp_path_factory.mktemp("data") / "ham",
        lesions_per_class=12,
        size=(64, 64),
        mask_size=(80, 60),
        folder="images",
    )


@pytest.fixture(scope="module")
def splits(data: Path) -> Splits:
    return make_splits(read_ham10000(data).records, seed=0)


@pytest.fixture(scope="module")
def split_file(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("splits") / "splits.json"
    write_splits(splits, path)
    return path


@pytest.fixture(scope="module")
def trained(tiny_bundle: Path, splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, saying that it was trained on everything but one fold."""
    bundle = read_bundle(tiny_bundle)
    origin = {"splits_sha256": splits.sha256, "fold": FOLD, "protocol": "lesion"}
    manifest = replace(
        bundle.manifest,
        training={"origin": origin},
        referral=ReferralRule(0.3, 0.95),
        conformal=ConformalRule(0.9, dict.fromkeys(CODES, 0.1)),
    )
    directory = tmp_path_factory.mktemp("trained") / "bundle"
    write_bundle(directory, manifest, {"model.onnx": bundle.graph})
    return directory


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are tested elsewhere; a tenth of the resamples is enough here."""
    for module in (report, summary):
        for function in vars(module).values():
            defaults = getattr(function, "__kwdefaults__", None) or {}
            if "resamples" in defaults:
                monkeypatch.setitem(defaults, "resamples", bootstrap.RESAMPLES // 20)


@pytest.fixture
def tested(data: Path, splits: Splits) -> tuple[Record, ...]:
    records = read_ham10000(data).records
    return select(records, splits.image_ids(Part.TEST, test_fold=FOLD))


def evaluate(run: Run, data: Path, split_file: Path, model: Path, *options: object) -> Outcome:
    where = ("--data", data, "--splits", split_file, "--model", model)
    return run("evaluate", *where, "--fold", FOLD, *options)


def by_hand(run: Run, model: Path, records: tuple[Record, ...], *options: str) -> dict[str, Any]:
    """Evaluate the table that ``predict`` writes, with scikit-learn."""
    images = [str(record.path) for record in records]
    predicted = run("predict", *images, "--csv", "t.csv", "--model", model, *options)
    assert predicted.status == 0, predicted.err
    with Path("t.csv").open(newline="") as file:
        rows = {row.pop("image"): row for row in csv.DictReader(file)}
    truth = [record.diagnosis.code for record in records]
    chances = np.array(
        [[float(rows[record.image_id][code.upper()]) for code in CODES] for record in records]
    )
    guess = [CODES[place] for place in chances.argmax(axis=1)]
    missed = chances - (np.array(truth)[:, None] == np.array(CODES))
    return {
        "accuracy": accuracy_score(truth, guess),
        "balanced_accuracy": balanced_accuracy_score(truth, guess),
        "macro_f1": f1_score(truth, guess, average="macro", labels=CODES, zero_division=0.0),
        "brier_score": (missed**2).sum(axis=1).mean(),
        "confusion": confusion_matrix(truth, guess, labels=CODES).tolist(),
    }


def assert_equal_by_hand(document: dict[str, Any], expected: dict[str, Any]) -> None:
    overall = document["report"]["summary"]["overall"]
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert overall[name]["value"] == pytest.approx(expected[name], abs=1e-9), name
    # Probabilities tell what hardly ever makes another class the likeliest; a table rounds them.
    assert overall["brier_score"]["value"] == pytest.approx(expected["brier_score"], abs=2e-6)
    assert document["report"]["confusion"] == expected["confusion"]


def test_test_fold_is_evaluated_as_by_hand(
    run: Run, data: Path, split_file: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    outcome = evaluate(run, data, split_file, trained, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    document = outcome.json
    assert_equal_by_hand(document, by_hand(run, trained, tested, *SQUEEZED))
    assert document["report"]["summary"]["images"] == len(tested)
    assert document["report"]["summary"]["lesions"] == len({r.lesion_id for r in tested})
    assert document["protocol"].startswith(f"lesion-grouped fold {FOLD}, test part, {len(tested)} ")


def test_text_names_protocol_figures_and_heatmaps(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    outcome = evaluate(run, data, split_file, trained)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines[0].startswith(f"Evaluated on: lesion-grouped fold {FOLD}, test part")
    for part in (
        "Balanced accuracy",
        "95 % intervals",
        "MEL",
        "Peak inside the lesion mask",
        "Melanomas referred",
        "Empty sets",
    ):
        assert part in outcome.out


def test_validation_part_can_be_evaluated(
    run: Run, data: Path, split_file: Path, trained: Path, splits: Splits
) -> None:
    document = evaluate(run, data, split_file, trained, "--part", "validation", "--json").json
    count = len(splits.image_ids(Part.VALIDATION, test_fold=FOLD))
    assert document["report"]["summary"]["images"] == count
    assert "validation part" in document["protocol"]
    assert "prediction sets were fitted on these images" in document["protocol"]


def test_what_validation_chose_is_not_shown_as_measured_on_it(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    outcome = evaluate(run, data, split_file, trained, "--part", "validation")
    assert "were fitted on these images" in outcome.lines[0]
    assert outcome.lines[1].startswith("Read no calibration error from it")
    assert "Peak inside the lesion mask" in outcome.out
    for chosen in (
        "Expected calibration error (15 bins)",
        "With temperature",
        "Melanomas referred",
        "Empty sets",
    ):
        assert chosen not in outcome.out
        assert chosen in evaluate(run, data, split_file, trained).out


def test_one_calibration_error_has_one_interval(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    lines = evaluate(run, data, split_file, trained).lines
    overall, after = (
        next(line for line in lines if line.startswith(label)).removeprefix(label).split()
        for label in ("Expected calibration error (15 bins)  ", "With temperature")
    )
    assert len(overall) == 3
    assert overall == after


def test_training_part_is_refused(run: Run, data: Path, split_file: Path, trained: Path) -> None:
    outcome = evaluate(run, data, split_file, trained, "--part", "train")
    assert outcome.status == ExitStatus.CONFIG
    assert "--part must be test or validation, got 'train'" in outcome.complaint


def test_another_fold_is_refused(run: Run, data: Path, split_file: Path, trained: Path) -> None:
    outcome = evaluate(run, data, split_file, trained, "--fold", FOLD + 1)
    assert outcome.status == ExitStatus.CONFIG
    assert f"trained with fold {FOLD}" in outcome.complaint
    assert f"fold {FOLD + 1}" in outcome.complaint
    assert "may hold images it was trained on" in outcome.complaint


def test_other_splits_are_refused(run: Run, data: Path, trained: Path, splits: Splits) -> None:
    others = make_splits(read_ham10000(data).records, seed=1)
    write_splits(others, Path("others.json"))
    outcome = evaluate(run, data, Path("others.json"), trained)
    assert outcome.status == ExitStatus.CONFIG
    assert splits.sha256[:12] in outcome.complaint
    assert others.sha256[:12] in outcome.complaint


def test_model_of_unknown_origin_is_refused(
    run: Run, data: Path, split_file: Path, tiny_bundle: Path
) -> None:
    outcome = evaluate(run, data, split_file, tiny_bundle)
    assert outcome.status == ExitStatus.CONFIG
    assert "use --images and --labels" in outcome.complaint
    assert "None" not in outcome.complaint


def test_damaged_and_missing_split_files(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    text = split_file.read_text().replace(",1,[", ",2,[", 1)
    Path("damaged.json").write_text(text)
    Path("image.json").write_bytes(b"\xff" * 10_000)
    for name, reason in (
        *(("damaged.json", "hash"), ("absent.json", "data split")),
        ("image.json", "is not a split file"),
    ):
        outcome = evaluate(run, data, Path(name), trained)
        assert outcome.status == ExitStatus.DATA
        assert name in outcome.complaint
        assert reason in outcome.complaint
        assert len(outcome.complaint) < 300


def test_nothing_to_evaluate_on(run: Run, trained: Path) -> None:
    outcome = run("evaluate", "--model", trained)
    assert outcome.status == ExitStatus.CONFIG
    assert "DERMASSIST_DATA" in outcome.complaint


def test_data_folder_may_come_from_the_environment(
    run: Run, data: Path, split_file: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMASSIST_DATA", str(data))
    options = ("--splits", split_file, "--model", trained, "--fold", FOLD)
    assert run("evaluate", *options).status == 0


def write_isic(path: Path, records: tuple[Record, ...]) -> Path:
    columns = [code.upper() for code in ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for record in records:
            marks = [float(record.diagnosis.name == column) for column in columns]
            writer.writerow([record.image_id, *marks])
    return path


def write_ham(path: Path, records: tuple[Record, ...]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*METADATA_COLUMNS, "dataset"])
        for r in records:
            writer.writerow(
                [r.lesion_id, r.image_id, r.diagnosis.code, r.dx_type, r.age, r.sex, "back", "x"]
            )
    return path


@pytest.mark.parametrize(("write", "options"), [(write_isic, ()), (write_ham, SQUEEZED)])
def test_any_labelled_folder(
    run: Run,
    data: Path,
    trained: Path,
    tested: tuple[Record, ...],
    write: Any,
    options: tuple[str, ...],
) -> None:
    labels = write(Path("labels.csv"), tested)
    where = ("--images", data / "images", "--labels", labels, "--model", trained, *options)
    outcome = run("evaluate", *where, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    document = outcome.json
    assert_equal_by_hand(document, by_hand(run, trained, tested, *options))
    assert document["heatmaps"] is None
    assert "not known" in document["protocol"]
    lesions = {r.image_id if write is write_isic else r.lesion_id for r in tested}
    assert document["report"]["summary"]["lesions"] == len(lesions)
    assert ("name no lesions" in document["protocol"]) == (write is write_isic)
    text = run("evaluate", *where)
    assert ("intervals are too narrow" in text.lines[0]) == (write is write_isic)
    assert "mask" not in text.out


def test_isic_labels_with_lesions_are_resampled_by_lesion(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    labels = write_isic(Path("labels.csv"), tested)
    lines = labels.read_text().splitlines()
    names = ["lesion_id", *(record.lesion_id for record in tested)]
    labels.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, names, strict=True)) + "\n")
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    document = run("evaluate", *where, "--json").json
    assert document["report"]["summary"]["lesions"] == len(set(names)) - 1 < len(tested)
    assert "name no lesions" not in document["protocol"]


def test_labelled_images_of_any_readable_kind(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    Path("images").mkdir()
    for record, ending in zip(tested[:2], (".tif", ".bmp"), strict=True):
        assert record.path is not None
        with Image.open(record.path) as image:
            image.save(Path("images") / f"{record.image_id}{ending}")
    renamed = (tested[0], replace(tested[1], image_id=f"{tested[1].image_id}.bmp"))
    labels = write_isic(Path("labels.csv"), renamed)
    outcome = run("evaluate", "--images", "images", "--labels", labels, "--model", trained)
    assert outcome.status == 0, outcome.err


def test_one_lesion_has_no_interval(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    labels = write_isic(Path("labels.csv"), tested[:1])
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    outcome = run("evaluate", *where)
    assert outcome.status == 0, outcome.err
    brier = next(line for line in outcome.lines if line.startswith("Brier"))
    assert "[" not in brier


def test_labels_are_taken_before_the_data_folder(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMASSIST_DATA", str(data))
    labels = write_isic(Path("labels.csv"), tested[:5])
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    assert run("evaluate", *where, "--json").json["report"]["summary"]["images"] == 5


def test_labelled_image_that_is_missing(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    stranger = replace(tested[0], image_id="ISIC_9999999")
    labels = write_isic(Path("labels.csv"), (*tested[:3], stranger))
    outcome = run("evaluate", "--images", data / "images", "--labels", labels, "--model", trained)
    assert outcome.status == ExitStatus.DATA
    assert "1 have no file, ISIC_9999999 first; add the files" in outcome.complaint


def test_only_squares_were_squeezed_to_squares(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    shutil.copytree(data / "images", "images")
    labels = write_isic(Path("labels.csv"), tested[:5])
    where = ("--images", "images", "--labels", labels, "--model", trained)
    assert run("evaluate", *where, "--squeezed-from", "4:3").status == 0
    odd = Path("images") / f"{tested[3].image_id}.jpg"
    Image.new("RGB", (80, 64), "pink").save(odd)
    outcome = run("evaluate", *where, "--squeezed-from", "4:3")
    assert outcome.status == ExitStatus.CONFIG
    assert f"{odd}: has 80 x 64 pixels, so it was not squeezed to a square" in outcome.complaint
    assert run("evaluate", *where).status == 0


@pytest.mark.parametrize("option", ["--images", "--labels"])
def test_images_and_labels_go_together(run: Run, data: Path, trained: Path, option: str) -> None:
    outcome = run("evaluate", option, data, "--model", trained)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == "--images and --labels go together"


@pytest.mark.parametrize(
    "option",
    [("--part", "nonsense"), ("--fold", 3), ("--splits", "/no/such"), ("--data", "/no/such")],
)
def test_a_fold_and_a_folder_cannot_both_be_meant(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...], option: tuple[object, ...]
) -> None:
    labels = write_isic(Path("labels.csv"), tested[:5])
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    outcome = run("evaluate", *where, *option)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint.startswith(f"{option[0]}: for a fold of HAM10000")
    assert "give one or the other" in outcome.complaint


def test_folder_of_images_that_is_absent(
    run: Run, trained: Path, tested: tuple[Record, ...]
) -> None:
    labels = write_isic(Path("labels.csv"), tested)
    outcome = run("evaluate", "--images", "nowhere", "--labels", labels, "--model", trained)
    assert outcome.status == ExitStatus.DATA
    assert "nowhere: no such folder" in outcome.complaint


def test_heatmaps_are_measured_on_the_masks(
    run: Run, data: Path, split_file: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    heatmaps = evaluate(run, data, split_file, trained, "--json").json["heatmaps"]
    assert heatmaps["images"] == len(tested)
    averages = heatmaps["averages"]
    # A centred Gaussian peaks in the middle of every mask here, which is a centred disc.
    assert averages["gaussian_peak"]["value"] == 1.0
    disc = np.pi * 15**2 / (80 * 60)
    assert averages["mask_area"]["value"] == pytest.approx(disc, rel=0.05)
    assert 0.0 <= averages["peak"]["value"] <= 1.0


def test_saved_report_reads_back(run: Run, data: Path, split_file: Path, trained: Path) -> None:
    outcome = evaluate(run, data, split_file, trained, "--json", "--save", "new/report.json")
    saved = json.loads(Path("new/report.json").read_text("utf-8"))
    assert saved == outcome.json
    again = EvaluationReport.from_dict(saved["report"])
    assert again.to_dict() == saved["report"]


def test_each_answer_is_kept_as_the_protocols_keep_it(
    run: Run, data: Path, split_file: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    document = evaluate(run, data, split_file, trained, "--json", "--answers", "a.csv").json
    table = PredictionTable.read(Path("a.csv"))
    assert set(table.images) == {record.image_id for record in tested}
    right = (table.probabilities.argmax(axis=1) == table.labels).mean()
    accuracy = document["report"]["summary"]["overall"]["accuracy"]["value"]
    assert right == pytest.approx(accuracy)
    referred = document["decisions"]["referral"]["sensitivity"]["value"]
    malignant = np.isin(table.labels, [d.index for d in Diagnosis if d.malignant])
    assert table.referred[malignant].mean() == pytest.approx(referred)
    outcome = evaluate(run, data, split_file, trained, "--answers", split_file)
    assert outcome.status == ExitStatus.CONFIG
    assert "exists and is no table of answers" in outcome.complaint
    assert evaluate(run, data, split_file, trained, "--answers", "a.csv").status == 0


@pytest.fixture
def unanswered(
    run: Run, data: Path, trained: Path, tested: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Evaluate labelled images, none of which may be answered."""
    monkeypatch.setattr("dermassist.answering.answer_records", lambda *_, **__: pytest.fail("late"))
    labels = write_isic(Path("labels.csv"), tested[:5])

    def ask(*options: object, model: Path = trained) -> Outcome:
        where = ("--images", data / "images", "--labels", labels, "--model", model)
        return run("evaluate", *where, *options)

    return ask


def test_results_of_a_protocol_are_not_replaced(
    unanswered: Callable[..., Outcome],
) -> None:
    shutil.copytree(RESULTS / "paper", "paper")
    shutil.copy(RESULTS / "paper.json", "paper.json")
    for option, name, kind in (
        ("--save", "paper.json", "report of an evaluation"),
        ("--answers", "paper/paper.csv", "table of answers of an evaluation"),
    ):
        before = Path(name).read_bytes()
        outcome = unanswered(option, name)
        assert outcome.status == ExitStatus.CONFIG
        assert outcome.complaint.startswith(f"{name}: exists and is no {kind}; name another file")
        assert Path(name).read_bytes() == before


def test_a_seed_below_nothing_is_refused_before_the_work(
    unanswered: Callable[..., Outcome],
) -> None:
    outcome = unanswered("--seed", -1)
    assert outcome.status == ExitStatus.USAGE
    assert "--seed" in outcome.err


def test_an_empty_mask_is_told_before_the_work(
    run: Run,
    data: Path,
    trained: Path,
    tested: tuple[Record, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(data / "images", "images"))
    mask = folder / f"{tested[3].image_id}_segmentation.png"
    Image.new("L", (64, 64)).save(mask)
    labels = write_isic(Path("labels.csv"), tested[:5])
    monkeypatch.setattr("dermassist.answering.answer_records", lambda *_, **__: pytest.fail("late"))
    outcome = run("evaluate", "--images", folder, "--labels", labels, "--model", trained)
    assert outcome.status == ExitStatus.DATA
    assert outcome.complaint == f"{mask}: the lesion mask is empty; remove or replace it"


def test_answers_need_rules_before_the_work(
    tiny_bundle: Path,
    unanswered: Callable[..., Outcome],
) -> None:
    outcome = unanswered("--answers", "a.csv", model=tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert "has no referral threshold or no prediction sets" in outcome.complaint


def test_saving_replaces_nothing_but_an_earlier_report(
    run: Run, data: Path, split_file: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    labels = write_isic(Path("labels.csv"), tested[:5])
    shutil.copy(split_file, "splits.json")
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    for taken in (labels, Path("splits.json")):
        before = taken.read_bytes()
        outcome = run("evaluate", *where, "--save", taken)
        assert outcome.status == ExitStatus.CONFIG
        assert outcome.complaint == (
            f"{taken}: exists and is no report of an evaluation; name another file, or remove it"
        )
        assert taken.read_bytes() == before
    for _ in range(2):
        assert run("evaluate", *where, "--save", "report.json").status == 0


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    unanswered: Callable[..., Outcome],
) -> None:
    outcome = unanswered("--save", "labels.csv/report.json")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith("labels.csv")


def test_a_gallery_s_place_that_cannot_be_written_is_told_before_the_work(
    unanswered: Callable[..., Outcome],
) -> None:
    outcome = unanswered("--errors", "labels.csv/gallery")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith("labels.csv")


def refuse_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be written beside a manifest; root, who may run the test, could."""
    touch = Path.touch

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name.startswith(".manifest.json."):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        touch(path, *arguments, **options)

    monkeypatch.setattr(Path, "touch", refuse)


def test_a_manifest_that_cannot_be_written_is_told_before_the_work(
    run: Run, data: Path, split_file: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.answering.answer_records", lambda *_, **__: pytest.fail("late"))
    refuse_manifest(monkeypatch)
    outcome = evaluate(run, data, split_file, trained, "--store")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith(f"{trained / 'manifest.json'}: Permission denied")


def test_figures_are_said_although_they_cannot_be_stored(
    run: Run, data: Path, split_file: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.storage.check_writable", lambda path: None)
    refuse_manifest(monkeypatch)
    outcome = evaluate(run, data, split_file, trained, "--store")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert "Balanced accuracy" in outcome.out
    assert "manifest.json: Permission denied" in outcome.err


def test_a_closed_folder_of_images_is_no_empty_one(
    run: Run,
    data: Path,
    trained: Path,
    tested: tuple[Record, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = write_isic(Path("labels.csv"), tested[:5])
    # Root may read every folder, so whoever runs the test is refused here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    where = ("--images", data / "images", "--labels", labels, "--model", trained)
    outcome = run("evaluate", *where)
    assert outcome.status == ExitStatus.DATA
    assert outcome.complaint == (
        f"{data / 'images'}: no permission to look into it; change its permissions"
    )


def test_same_seed_gives_the_same_intervals(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    documents = [
        evaluate(run, data, split_file, trained, "--json", "--seed", seed).json
        for seed in (5, 5, 6)
    ]
    assert documents[0] == documents[1]
    low = [d["report"]["summary"]["overall"]["brier_score"]["low"] for d in documents]
    assert low[0] != low[2]


def test_stored_report_is_part_of_a_sound_model(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    model = Path(shutil.copytree(trained, "model"))
    (model / "LICENSE").write_text("kept")
    outcome = evaluate(run, data, split_file, model, "--store", "--json")
    assert outcome.status == 0
    before, after = read_bundle(trained), read_bundle(model)
    referral, conformal = after.manifest.referral, after.manifest.conformal
    assert referral is not None
    assert conformal is not None
    assert referral.measured == outcome.json["decisions"]["referral"]
    assert conformal.measured == outcome.json["decisions"]["sets"]
    assert after.manifest == replace(
        before.manifest, metrics=outcome.json, referral=referral, conformal=conformal
    )
    assert after.graph == before.graph
    assert (model / "LICENSE").read_text() == "kept"
    assert sorted(path.name for path in model.iterdir()) == [
        "LICENSE",
        "manifest.json",
        "model.onnx",
    ]
    assert sorted(path.name for path in Path().iterdir()) == ["model"]


def test_without_store_the_model_is_left_alone(
    run: Run, data: Path, split_file: Path, trained: Path
) -> None:
    before = {path: path.read_bytes() for path in trained.iterdir()}
    evaluate(run, data, split_file, trained)
    assert {path: path.read_bytes() for path in trained.iterdir()} == before


def test_only_the_test_fold_is_stored(
    run: Run, data: Path, split_file: Path, trained: Path, tested: tuple[Record, ...]
) -> None:
    model = Path(shutil.copytree(trained, "model"))
    before = (model / "manifest.json").read_bytes()
    labels = write_isic(Path("labels.csv"), tested)
    outside = ("--images", data / "images", "--labels", labels, "--model", model)
    for outcome in (
        evaluate(run, data, split_file, model, "--store", "--part", "validation"),
        run("evaluate", *outside, "--store"),
    ):
        assert outcome.status == ExitStatus.CONFIG
        assert "--store" in outcome.complaint
    assert (model / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("first", "second"),
    [("--save", "--answers"), ("--save", "--errors"), ("--answers", "--errors")],
)
def test_two_results_have_two_places(
    unanswered: Callable[..., Outcome],
    first: str,
    second: str,
) -> None:
    options = (first, "out/both.x", second, "out/../out/both.x")
    outcome = unanswered(*options)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == (
        f"{first} and {second} both name out/../out/both.x; give each a place of its own"
    )
    assert not Path("out").exists()
