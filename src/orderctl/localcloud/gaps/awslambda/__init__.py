"""Lambda: invocations, batches from queues, concurrency, permissions and updates."""
