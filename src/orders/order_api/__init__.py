"""The API: takes orders, shows them, and takes requests to cancel them."""
