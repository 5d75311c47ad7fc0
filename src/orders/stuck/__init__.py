"""Counts the orders that should have ended by now."""
