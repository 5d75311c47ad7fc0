"""Follows every order and decides, once, how it ends."""
