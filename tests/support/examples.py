"""What is published: one example or more of each event, and of the order updates."""

from __future__ import annotations

from decimal import Decimal

from orders import events
from orders.events import OrderLine, OrderUpdate

LINES = (OrderLine("mug", 2), OrderLine("tea", 1))
EXAMPLES: list[events.Announcement | OrderUpdate] = [
    events.OrderPlaced(order_id="a", amount=Decimal("9999999999.99"), items=LINES),
    events.OrderPlaced(order_id="a.B_c-1", amount=Decimal(0), customer_id="Zoë 🦊"),
    events.OrderCancelRequested(order_id="a"),
    events.OrderConfirmed(order_id="a"),
    events.OrderConfirmed(order_id="a", placed_at="2026-08-18T09:30:00.123Z"),
    events.OrderCancelled(order_id="a", reason="out of stock: mug"),
    events.OrderCancelled(order_id="a", reason="out of stock: mug", version=3),
    events.PaymentCharged(order_id="a", amount=Decimal("1.50"), currency="EUR", charge_id="ch_1"),
    events.PaymentDeclined(order_id="a", reason="expired", fingerprint="0123456789abcdef"),
    events.PaymentRefunded(order_id="a", amount=Decimal("1.50"), currency="EUR"),
    events.InventoryReserved(order_id="a", items=LINES, fingerprint="0123456789abcdef"),
    events.InventoryRejected(order_id="a", reason="mug: 1 of 2"),
    events.InventoryReleased(order_id="a"),
    events.PaymentsFailing(tries=20, failed=16),
    events.CircuitOpened(consumer="payments", reason="16 of 20", since="2026-08-18T09:30:00.123Z"),
    events.CircuitClosed(consumer="payments", since="2026-08-18T09:31:00.123Z"),
    OrderUpdate(order_id="a", status="placed", version=0, at="2026-08-18T09:30:00Z"),
    OrderUpdate(
        order_id="a", status="cancelled", version=3, at="2026-08-18T09:30:00Z", reason="expired"
    ),
]
