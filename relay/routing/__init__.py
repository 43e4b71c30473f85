"""Who gets what: policies, filters, projection, the hub and its groups."""
