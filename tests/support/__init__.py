"""What several test modules share: databases, waiting, a network that can be cut."""
