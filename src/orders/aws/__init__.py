"""The edges: how the functions talk to AWS."""
