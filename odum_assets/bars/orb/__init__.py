"""Opening-range breakout: enter where price leaves the range of a session's first minutes.

The walk: ``params`` says what can be set; ``study`` computes everything that a bar knows at its
close (``opening_range``, ``indicators``, ``factors``, ``scoring``) as arrays; ``machine`` follows a
session bar by bar and sends orders (``stops``, ``governance``, ``exits``); ``trade`` keeps what
became of them.
"""
