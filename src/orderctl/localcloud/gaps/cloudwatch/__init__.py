"""CloudWatch: alarms that look at their own dimensions, and metrics in log lines."""
