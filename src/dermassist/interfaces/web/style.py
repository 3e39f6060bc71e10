"""What Streamlit's theme has no setting for."""

from __future__ import annotations

STYLE = """
<style>
.stMainBlockContainer { padding-top: 3rem; }
.stMarkdown { overflow-wrap: anywhere; }
/* By itself 3.3 to 1 on white, which few can read well. */
[data-testid="stCaptionContainer"], [data-testid="stImageCaption"] { color: inherit; opacity: .8; }
[data-testid="stCaptionContainer"] p { color: inherit; }
a.download {
  display: block; box-sizing: border-box; min-height: 2.5rem; padding: .5rem .75rem;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); border-radius: .5rem;
  color: inherit; text-align: center; text-decoration: none; font-size: .875rem; line-height: 1.6;
}
a.download:hover { background: color-mix(in srgb, currentColor 8%, transparent); color: inherit; }
a.download:focus-visible { outline: 3px solid #3a8ea1; outline-offset: 2px; }
/* The theme follows the system. In the dark its colour is too pale for white letters. */
@media (prefers-color-scheme: dark) {
  button[data-testid^="stBaseButton-primary"] { color: #0e1a1c; }
}
</style>
"""
