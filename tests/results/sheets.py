"""Pages that are made of results, as a reader has them."""

from html.parser import HTMLParser
from pathlib import Path


class Sheet(HTMLParser):
    """A page as a reader has it: its text, its named figures, its tags.

    ``rows`` has the name, the value with all digits (None if there is none) and the text of each
    figure.
    """

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.html = page.read_text(encoding="utf-8")
        self.words: list[str] = []
        self.rows: list[tuple[str, float | None, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._name, self._part, self._value = "", "", None  # type: ignore[var-annotated]
        self._text = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("dt", "dd"):
            self._part, self._text, self._value = tag, "", None
        if tag == "data":
            self._value = dict(attrs)["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "dt":
            self._name = self._text
        if tag == "dd":
            value = None if self._value is None else float(self._value)
            self.rows.append((self._name, value, self._text))

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("style", "title"):
            self.words.append(data)
        self._text += data

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def value(self, name: str) -> float | None:
        (found,) = {value for each, value, _ in self.rows if each == name}
        return found

    def shown(self, name: str) -> str:
        return next(text for each, _, text in self.rows if each == name)
