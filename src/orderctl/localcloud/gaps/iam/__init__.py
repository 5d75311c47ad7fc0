"""IAM: signatures, callers, the actions that calls are checked as, and condition keys."""
