"""What the commands share: common options, output, questions, and the way to the stack."""
