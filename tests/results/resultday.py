"""The tiny day that the tests of results run over."""

from tinydays import NOON, BookRow, TradeRow

ROWS: list[TradeRow] = [
    (NOON + 1, "buy", "64000.3", "4"),
    (NOON + 2, "sell", "64000.0", "2"),
    (NOON + 3, "sell", "63999.9", "3.5"),
    (NOON + 4, None, "64000.0", "1"),
    (NOON + 65, "buy", "64000.1", "0.7"),
    (NOON + 130, "sell", "63999.7", "0.7"),
]
BOOKS: list[BookRow] = [
    (
        NOON,
        [("64000.0", "1"), ("63999.9", "2"), ("63999.8", "3")],
        [("64000.1", "1"), ("64000.2", "2"), ("64000.3", "3")],
    )
]
