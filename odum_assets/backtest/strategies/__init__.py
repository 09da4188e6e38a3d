"""Strategies that ship with the project, and the base class for your own."""
