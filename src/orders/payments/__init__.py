"""Charges each order once."""
