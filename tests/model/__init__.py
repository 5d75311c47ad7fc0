"""The model of the protocol, checked by Spin: `orders.pml`. `make model` runs all of it."""
