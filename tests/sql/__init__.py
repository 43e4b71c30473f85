"""Tests of the SQL that is installed into the payment database."""
