"""Pauses a consumer while most of its orders would fail, and lets it go on when they do not."""
