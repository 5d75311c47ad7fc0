"""Follows every order, decides once how it ends, and announces the decision."""
