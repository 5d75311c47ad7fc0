"""Lambda: asynchronous invocations, event source mappings, metrics, permissions, updates."""
