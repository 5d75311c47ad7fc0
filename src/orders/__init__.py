"""The functions of the order pipeline, as they run in AWS Lambda, and their contract."""
