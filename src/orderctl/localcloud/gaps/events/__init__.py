"""EventBridge: delivery with retries and dead-letter queues, archives, schedules."""
