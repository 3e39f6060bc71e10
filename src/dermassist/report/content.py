"""What a report says: sections of plain blocks, without any idea of how they look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Literal

from dermassist.errors import ConfigError
from dermassist.outcome import Outcome

DEFAULT_NAME = "DermAssist_Report.pdf"
#: Millimetres, width by height.
PAPERS: dict[str, tuple[float, float]] = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}


@dataclass(frozen=True)
class ReportOptions:
    """How a report is made up.

    Attributes:
        paper: ``"A4"`` or ``"Letter"``.
        patient_page: add a page in plain words for the patient.
        heatmap_files: names of picture files that were saved beside the report, if any.
        outcome: what the lesion turned out to be; ``None`` where that was not recorded.

    Raises:
        ConfigError: the paper is neither.
    """

    paper: str = "A4"
    patient_page: bool = False
    heatmap_files: tuple[str, ...] = ()
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        if self.paper not in PAPERS:
            raise ConfigError(f"paper must be one of {', '.join(PAPERS)}, got {self.paper!r}")


@dataclass(frozen=True)
class Paragraph:
    """Running text. A lead introduces what follows, a note is small, a warning stands out.

    Plain text is larger, for readers who do not read reports.
    """

    text: str
    role: Literal["body", "lead", "note", "warning", "plain"] = "body"


@dataclass(frozen=True)
class Bullets:
    """Short statements, one each."""

    items: tuple[str, ...]
    role: Literal["body", "plain"] = "body"


@dataclass(frozen=True)
class Figure:
    """A picture with its caption.

    Attributes:
        picture: an encoded JPEG or PNG.
        width_px: of the picture.
        height_px: of the picture.
        caption: below it.
        alternative: for those who cannot see it.
    """

    picture: bytes
    width_px: int
    height_px: int
    caption: str
    alternative: str


@dataclass(frozen=True)
class Facts:
    """Labels with values, and a picture beside them."""

    rows: tuple[tuple[str, str], ...]
    figure: Figure | None = None


@dataclass(frozen=True)
class Headline:
    """The one thing to be read first: a small label over a large text."""

    label: str
    text: str
    remark: str = ""


@dataclass(frozen=True)
class Bar:
    """A share drawn as a bar.

    Attributes:
        label: what of.
        share: 0 to 1.
        text: the share in words.
        tag: a remark behind the label.
        strong: draw it in the accent colour.
        mark: a share at which a tick is drawn.
    """

    label: str
    share: float
    text: str
    tag: str = ""
    strong: bool = False
    mark: float | None = None


@dataclass(frozen=True)
class Bars:
    """Bars below each other on one scale from 0 to 1."""

    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class ColourScale:
    """What the colours of the figures mean: a strip and the texts at its ends."""

    strip: Figure
    low: str
    high: str


@dataclass(frozen=True)
class Figures:
    """Pictures side by side."""

    figures: tuple[Figure, ...]
    scale: ColourScale


@dataclass(frozen=True)
class Table:
    """Cells with a header in a box, and a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Signature:
    """Lines to be filled in by hand."""

    labels: tuple[str, ...]


Block = Paragraph | Bullets | Facts | Headline | Bars | Figures | Table | Signature


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report says.

    Attributes:
        title: of the document.
        notice: what it is for, and what not.
        created: time of the report, ISO 8601 with its offset.
        paper: a key of ``PAPERS``.
        footer: on every page.
        sections: of the report proper.
        sources: numbered from 1, as the texts cite them.
        patient_page: in plain words, or ``None``.
    """

    title: str
    notice: str
    created: str
    paper: str
    footer: str
    sections: tuple[Section, ...]
    sources: tuple[str, ...]
    patient_page: Section | None = None

    @property
    def created_words(self) -> str:
        """The time of the report as it is printed."""
        return time_words(self.created)

    def section(self, title: str) -> Section:
        """Return the section with this heading.

        Raises:
            KeyError: there is none.
        """
        for section in self.sections:
            if section.title == title:
                return section
        raise KeyError(title)


#: Fields that steer how a report looks.
_NOT_PRINTED = {"paper", "role"}


def time_words(created: str) -> str:
    """Return an ISO 8601 time as it is printed; what is none is printed as it is."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = moment.strftime("%z")
    suffix = f" (UTC{zone[:3]}:{zone[3:5]})" if zone else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{suffix}"


def texts(part: object) -> Iterator[str]:
    """Yield every text of a report or of a part of it, in the order of reading."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from texts(item)
    elif is_dataclass(part):
        for field in fields(part):
            if field.name not in _NOT_PRINTED:
                yield from texts(getattr(part, field.name))
