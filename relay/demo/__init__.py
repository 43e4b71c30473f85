"""A private Postgres, sample payment tables and believable traffic: the whole system on one bare machine."""
