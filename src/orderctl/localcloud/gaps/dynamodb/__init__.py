"""DynamoDB: expressions that are read once."""
