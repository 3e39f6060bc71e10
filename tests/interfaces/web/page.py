"""What a user does on a page, and reads there."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox, TextInput

from dermassist.diagnosis import Diagnosis
from dermassist.interfaces.web.downloads import Offer


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    """Choose a file on the page Analyse."""
    return app.file_uploader[0].upload(name, content, "image/png").run()


def upload_all(app: AppTest, files: dict[str, bytes]) -> AppTest:
    """Choose several files on the page Analyse at once."""
    uploader = app.file_uploader[0]
    for name, content in files.items():
        uploader.upload(name, content, "image/png")
    return app.run()


def explained(app: AppTest) -> Selectbox[Diagnosis]:
    """Return the choice of the diagnosis whose evidence is shown."""
    return next(box for box in app.selectbox if box.label == "Explain")


def texts(app: AppTest) -> str:
    """Return all that the page says."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(element.value for kind in (*kinds, app.success) for element in kind)


def download(app: AppTest, key: str) -> bytes:
    """Return what a download gives."""
    offered: dict[str, Offer] = app.session_state["downloads"]
    return offered[key].file.make()


def batch_of(app: AppTest, files: dict[str, bytes]) -> AppTest:
    """Have several files answered on the page Batch."""
    uploader = app.file_uploader(key="batch upload")
    for name, content in files.items():
        uploader.upload(name, content, "image/png")
    return press(app, "Answer all")


def press(app: AppTest, label: str) -> AppTest:
    """Press a button."""
    return next(button for button in app.button if button.label == label).click().run()


def field(app: AppTest, label: str) -> TextInput:
    """Return a line to be filled in."""
    return next(line for line in app.text_input if line.label == label)


def in_order(app: AppTest) -> list[str]:
    """Return the texts of the page in the order in which they stand."""
    return [value for each in app.main if isinstance(value := getattr(each, "value", None), str)]
