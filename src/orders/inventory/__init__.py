"""Reserves the stock of each order once, and never more than there is."""
