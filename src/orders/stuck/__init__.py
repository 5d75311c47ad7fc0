"""Counts the orders that should have ended by now, for the alarm to see."""
