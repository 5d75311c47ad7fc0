"""IAM: the actions that calls are checked as."""
