"""What runs on an engineer's machine: commands, the local cloud, packaging, deployment."""
