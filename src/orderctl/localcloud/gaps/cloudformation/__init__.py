"""CloudFormation: what it refuses before it changes anything, and what a deletion leaves behind."""
