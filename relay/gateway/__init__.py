"""To clients: WebSocket server, connection, authentication, HTTP pages, limits."""
