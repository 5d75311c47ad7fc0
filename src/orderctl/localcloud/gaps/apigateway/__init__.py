"""API Gateway: TestInvokeMethod, Cognito authorizers, and a stage's metrics and access logs."""
