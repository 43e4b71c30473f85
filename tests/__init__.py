"""The tests of the payment relay."""
