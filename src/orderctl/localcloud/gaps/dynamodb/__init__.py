"""DynamoDB: expressions that are read once, transactions that take a while, and throttling."""
