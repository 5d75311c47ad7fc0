"""A deployed pipeline as a library."""
