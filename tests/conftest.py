"""The environment the functions read when they are imported, as the template sets it."""

import os
import signal

from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell's background job ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

if "ORDERCTL_TEST_STACK" not in os.environ:  # a deployed stack wants real ones
    os.environ.update(
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
    )
os.environ.update(
    EVENT_BUS="order-events",
    API_AUTHORIZATION="NONE",
    STAFF_GROUP="staff",
    PAYMENTS_TABLE="payments",
    RESERVATIONS_TABLE="reservations",
    STOCK_TABLE="stock",
    ORDERS_TABLE="orders",
    STUCK_AFTER_MINUTES="15",
    REPUBLISH_AFTER_SECONDS="300",
    ORDER_DEADLINE_MINUTES="1440",
    **{
        f"{name}_{place}": f"https://sqs.us-east-1.amazonaws.com/123456789012/{name.lower()}"
        for name in ("PAYMENTS", "INVENTORY", "OUTCOMES")
        for place in ("DLQ_URL", "QUEUE_URL", "LOG_GROUP")
    },
    ORDER_UPDATES_TOPIC="arn:aws:sns:us-east-1:123456789012:order-updates.fifo",
    QUEUE_URL="https://sqs.us-east-1.amazonaws.com/123456789012/queue",
    RETRY_DELAY_SECONDS="1",
    CHARGE_FAILURE_RATE="0",
    CHARGE_DECLINE_RATE="0",
    POWERTOOLS_METRICS_NAMESPACE="OrderPipeline",
)
