"""What runs on an engineer's machine.

`commands` is the command line, `terminal` what the commands share. `pipeline` reads and drives a
deployed pipeline, `deploying` packages and deploys it, and `localcloud` runs the AWS APIs locally.
"""
