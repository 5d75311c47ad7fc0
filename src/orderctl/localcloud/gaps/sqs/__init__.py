"""SQS: the queues' messages, and moving them back from a dead-letter queue."""
