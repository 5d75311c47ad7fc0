"""Tells the shop's own services that an order was placed, and how it ended."""
