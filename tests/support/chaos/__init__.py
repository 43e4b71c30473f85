"""A storm for the exactness test: writers, relays, troubles and subscribers, and a referee who knows the rules."""
