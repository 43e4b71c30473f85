"""Live monitoring: the token that lets a person see the relay's stream, and a page that shows it."""
