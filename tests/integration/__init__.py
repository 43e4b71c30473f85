"""Tests of the parts together with a real Postgres."""
