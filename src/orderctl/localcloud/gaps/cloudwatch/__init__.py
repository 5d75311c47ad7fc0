"""CloudWatch: metrics of queues, alarms on their own dimensions, and metrics in log lines."""
