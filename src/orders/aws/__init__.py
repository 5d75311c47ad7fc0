"""How the functions talk to AWS: clients, the bus, SQS, DynamoDB, retries, logs and metrics."""
