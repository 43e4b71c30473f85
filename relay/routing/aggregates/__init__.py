"""Numbers kept in memory: seeded by one count in SQL, then moved by each event's old and new row."""
