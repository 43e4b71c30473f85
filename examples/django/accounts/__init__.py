"""People and the schools they belong to."""
