"""The frame of pages that are one file: style inside, no script, nothing loaded from elsewhere."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files


def html_page(title: str, parts: Iterable[str]) -> str:
    """Return a page that holds all it needs.

    Parameters
    ----------
    title : str
        Plain text.
    parts : iterable of str
        HTML of its body.
    """
    style = (files(__package__) / "style.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            # Whatever a name in the result holds: nothing runs, and nothing is asked for elsewhere.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>",
            *parts,
            "</body>\n</html>\n",
        ]
    )
