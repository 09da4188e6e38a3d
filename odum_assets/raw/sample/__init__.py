"""Sample market data: made-up trades, books and tickers that agree with each other.

`spec` says what to make, `draws` is the only source of randomness, `price` makes a day's price,
`market` the book and the trades, `ticker` funding and the like, `files` writes days as Tardis-style
parquet. Nothing here reads raw data, and
nothing else in the project imports this package unless sample data are asked for.
"""

from odum_assets.raw.sample.files import SampleFile, write_sample
from odum_assets.raw.sample.spec import DEFAULT_KEYS, SampleSpec

__all__ = ["DEFAULT_KEYS", "SampleFile", "SampleSpec", "write_sample"]
