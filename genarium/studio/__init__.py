"""The studio: one page for every task. `index.html` is served at `/`, what it needs at `/static/`; no build step."""

from pathlib import Path

FOLDER = Path(__file__).parent

HEADERS = {
    # Only this server's own files run or load, nothing written into the page does; data: and blob: are pictures that
    # are on their way.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
