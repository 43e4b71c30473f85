"""Tests of one module each, without Postgres."""
