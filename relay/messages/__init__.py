"""Typed: the fields of a row, the frames of the wire protocol, the one table of codes."""
