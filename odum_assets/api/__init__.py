"""The REST service: HTTP in front of the same assets and the same result files.

What belongs here: requests, replies, who may ask. What does not: running backtests (Dagster does,
over its GraphQL), reading or writing formats of results, configurations and raw data (their
packages do).
"""
