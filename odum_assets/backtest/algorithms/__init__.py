"""Execution algorithms: how one order is worked over time or in visible parts."""
