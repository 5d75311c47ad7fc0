"""The local cloud, used as an AWS account is used."""
