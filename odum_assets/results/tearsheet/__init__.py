"""The tearsheet of a stored result: one HTML file for people who have nothing else of the run.

Inline SVG from ``charts``, no script: no library to carry (plotly's smallest bundle is 1 MB), the
same on a phone and on paper, and nothing that only hovering shows.
"""

from odum_assets.results.tearsheet.page import write_tearsheet

__all__ = ["write_tearsheet"]
