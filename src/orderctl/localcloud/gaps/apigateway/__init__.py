"""API Gateway: TestInvokeMethod, and what a stage tells of its requests."""
