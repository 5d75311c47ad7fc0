"""Tells the shop's own services what became of an order."""
