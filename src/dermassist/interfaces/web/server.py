"""The app's process: ``streamlit run`` with the arguments given, ended quietly by Ctrl-C."""

from __future__ import annotations

import sys
from contextlib import suppress


def main() -> None:
    """Serve until stopped. Streamlit itself would call Ctrl-C an error: ``Aborted!``, status 1."""
    # The import takes seconds, in which the user may think better of it.
    with suppress(KeyboardInterrupt):
        from click import Abort  # noqa: PLC0415
        from streamlit.web import cli  # noqa: PLC0415

        with suppress(Abort):
            cli.main(["run", *sys.argv[1:]], prog_name="streamlit", standalone_mode=False)


if __name__ == "__main__":
    main()
