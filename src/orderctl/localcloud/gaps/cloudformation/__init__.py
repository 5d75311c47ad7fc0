"""CloudFormation: early validation, properties that MiniStack ignores, and held names."""
