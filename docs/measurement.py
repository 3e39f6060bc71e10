"""What is said of geometry, artifact steps and speed."""

from __future__ import annotations

from typing import Any

from docs import saved

from dermassist.evaluation.table import Table, render_markdown


def geometry_enlargements() -> str:
    """Quality of the answers for each side that the square can be enlarged to."""
    document = saved.result("geometry")
    columns = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    rows = tuple(
        (f"{row['network_px']} px", row["variant"], *(f"{row[column]:.3f}" for column in columns))
        for row in document["enlargements"]
    )
    header = ("Enlarged to", "View", "Accuracy", "Balanced accuracy", "Macro F1", "Log loss")
    return render_markdown(Table(f"On {document['part']}", header, rows))


def geometry_choices() -> str:
    """Quality of the answers for each way into the square."""
    document = saved.result("geometry")
    columns = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    rows = tuple(
        (f"fit {row['fit']:g}, {row['fill']}", *(f"{row[column]:.3f}" for column in columns))
        for row in document["choices"]
    )
    header = ("Window", "Accuracy", "Balanced accuracy", "Macro F1", "Log loss")
    return render_markdown(Table(f"On {document['part']}", header, rows))


def geometry_stability() -> str:
    """How far answers move when the same image comes changed."""
    document = saved.result("geometry")
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
    document = saved.result("artifact")
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
    document = saved.result("speed")
    rows = tuple(
        (line["name"], f"{line['value']:.2f} {line['unit']}", *_bar(line))
        for line in (*document["lines"], *saved.result("app")["lines"])
    )
    title = f"One run on {document['machine']['cores']} CPU cores, no GPU"
    return render_markdown(Table(title, ("Measure", "Measured", "Bar", ""), rows))


def speed_summary() -> str:
    """The few figures of speed that a reader asks for first."""
    document = _lines_of("speed")
    cold, memory, maps, batch = (
        document[name]
        for name in (
            "dermassist analyze as a cold process",
            "its peak memory",
            "prediction with all seven maps / bare forward pass",
            "batch predict / eager PyTorch with Pillow, images a second",
        )
    )
    cores = saved.result("speed")["machine"]["cores"]
    return (
        f"**Speed**, on {cores} processor cores: `dermassist analyze` takes {cold:.1f} s and "
        f"{memory:.0f} MB from start to end. All seven heatmaps together cost "
        f"{maps - 1.0:.0%} more than none. `predict` answers {batch:.1f} times as many images a "
        "second as PyTorch with Pillow ([all figures](docs/speed.md))."
    )


def _lines_of(name: str) -> dict[str, float]:
    return {line["name"]: line["value"] for line in saved.result(name)["lines"]}


def _bar(line: dict[str, Any]) -> tuple[str, str]:
    if line["limit"] is None:
        return ("none", "")
    limit = f"{'at least' if line['at_least'] else 'at most'} {line['limit']:g} {line['unit']}"
    return (limit, "met" if line["met"] else "missed")


def training_speed() -> str:
    """Training beside a plain loop."""
    document = saved.result("training_speed")
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
