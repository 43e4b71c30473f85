"""Measurements: what the relay costs the database, and what it can carry. ``python -m bench --help``."""
