"""What runs on an engineer's machine: the command line, the local cloud, packaging and deployment."""
