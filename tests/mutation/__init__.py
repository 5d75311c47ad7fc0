"""Mistakes that nobody listed: small changes of the functions' source, which tests must notice.

``make mutate`` makes every change that the operators know, one at a time, and runs the tests near
the module; what they do not notice runs through seeds of the simulation. What is left is judged one
by one in ``survivors.toml``.
"""
