"""The project: settings, addresses and the application that a server runs."""
