"""Payment relay: committed payment changes, from PostgreSQL to the people who may see them."""

__version__ = "0.1.0"
