"""Settings of all tests."""

from hypothesis import settings

# Other work on the machine makes a single example slow; no test of a property measures time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
