"""Whatever a book or a ticker file holds: every row is exact or counted, or nothing is."""

import pytest
from hostilefile import HostileFile, check, examples
from hypothesis import given
from rawbooks import catalog_books, hostile_books
from rawfunding import catalog_funding, hostile_funding


@examples(25)
@given(made=hostile_books())
def test_every_book_is_written_or_rejected_for_its_reason(made: HostileFile) -> None:
    check(made, catalog_books)


@examples(30)
@given(made=hostile_funding())
def test_every_funding_rate_is_written_unchanged_or_rejected(made: HostileFile) -> None:
    check(made, catalog_funding)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(2500)
@given(made=hostile_books())
def test_many_hostile_book_files(made: HostileFile) -> None:
    check(made, catalog_books)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(2500)
@given(made=hostile_funding())
def test_many_hostile_ticker_files(made: HostileFile) -> None:
    check(made, catalog_funding)
