"""`POST /orders`: takes an order and puts `order.placed` on the bus."""
