"""Raw day folders: where the files lie, what they are, and which columns they bring.

Nothing here writes to the raw root or knows about Nautilus. Only :mod:`odum_assets.raw.layout` and
:mod:`odum_assets.raw.fingerprint` are meant to be imported by code that must start fast; the other
modules need pyarrow.
"""
