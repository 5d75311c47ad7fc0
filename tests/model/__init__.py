"""Models of the protocol, checked by Spin: `orders.pml`, `stock.pml`. `make model` runs all."""
