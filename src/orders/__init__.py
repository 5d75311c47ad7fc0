"""The functions of the order pipeline, as they are deployed to AWS Lambda."""
