"""What an order costs: measured, beside the floor and beside a textbook version."""
