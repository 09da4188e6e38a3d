"""Tables that pandas computes with, although their numbers are exact decimals.

`pandas.read_parquet` turns decimals into Python objects, which neither aggregate nor plot. A
parquet file may say which pandas type a column has, and ours say float64 of Arrow
(``double[pyarrow]``) for decimals. What is stored stays exact: pyarrow and Polars read decimals and
compute with them; so does pandas with ``dtype_backend="pyarrow"``.
"""

import json
from typing import Final

import pyarrow as pa

_COMPUTABLE: Final = "double[pyarrow]"
_KEY: Final = b"pandas"


def computable(schema: pa.Schema) -> pa.Schema:
    """Return a schema that names float64 as the pandas type of its decimal columns."""
    columns = [
        {
            "name": field.name,
            "field_name": field.name,
            "pandas_type": "decimal",
            "numpy_type": _COMPUTABLE,
            "metadata": None,
        }
        for field in schema
        if pa.types.is_decimal(field.type)
    ]
    pandas_schema = {
        "index_columns": [],
        "column_indexes": [],
        "columns": columns,
        # What readers require; no version of pandas has written the file.
        "pandas_version": "2.0.0",
        "creator": {"library": "odum_assets", "version": "1"},
    }
    return schema.with_metadata({_KEY: json.dumps(pandas_schema).encode()})
