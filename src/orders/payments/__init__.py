"""Charges each order once, and gives the money of a cancelled one back."""
