"""The contract for other languages than Python, and which changes of it break its users."""
