"""The sections of a run configuration, one module per subject.

What belongs here: keys, their defaults and meaning, and rules within one section. What does not:
rules between sections (``rules``).
"""
