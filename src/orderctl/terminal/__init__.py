"""What the commands share: the options they have in common, what they print with, which stack."""
