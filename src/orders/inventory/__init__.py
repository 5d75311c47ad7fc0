"""Reserves the stock of each order once, and releases that of a cancelled one."""
