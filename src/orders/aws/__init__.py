"""How the functions talk to AWS: the bus, SQS batches, DynamoDB, retries, logs and metrics."""
