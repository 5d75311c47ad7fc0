"""SQS: access to messages by one thread, and moving them from a dead-letter queue."""
