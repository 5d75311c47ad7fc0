"""A client of AWS for the calls that the functions make: signed HTTP, and little else.

It is held against botocore in `tests/unit/aws/wire`; `docs/decisions.md` has why it is there.
"""
