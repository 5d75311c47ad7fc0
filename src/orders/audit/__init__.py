"""Whether the books balance: orders, payments, reservations, stock, and the card processor's."""
