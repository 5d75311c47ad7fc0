"""EventBridge: deliveries with dead-letter queues, PutEvents entries, archives, schedules."""
