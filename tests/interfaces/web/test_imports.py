"""The app runs from the extra ``app`` alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ...conftest import PATIENCE_S

ABSENT = ("torch", "lightning", "scipy", "sklearn", "crepes", "onnx", "optuna", "matplotlib")
PROGRAM = f"""
import sys
for name in {ABSENT!r}:
    sys.modules[name] = None
from streamlit.testing.v1 import AppTest
for page in ("analyse", "batch", "cases", "model", "guide"):
    module = f"dermassist.interfaces.web.screens.{{page}}"
    script = f"from {{module}} import {{page}}_page\\n{{page}}_page()"
    app = AppTest.from_string(script, default_timeout={PATIENCE_S})
    assert not app.run().exception, app.exception
    if page == "analyse":
        app.button(key="sample").click().run()
        assert not app.exception, app.exception
        assert app.metric
print("all pages")
"""


def test_every_page_is_drawn_without_the_training_libraries(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={"DERMASSIST_CASES": str(tmp_path / "cases"), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("all pages")
