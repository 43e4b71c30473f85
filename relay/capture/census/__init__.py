"""Counting in SQL what aggregates show: once to begin with, and again to compare."""
