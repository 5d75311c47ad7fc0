"""What a rush is told as."""

from __future__ import annotations

from dataclasses import asdict

from bench import hot


def test_a_rush_is_a_row() -> None:
    rush = hot.Rush(1, 4, 100, 400, 123.4, 0.0125, 7, 0)
    header, row = hot.rows([asdict(rush)])
    assert dict(zip(header, row, strict=True)) == {
        "SKUs": "1",
        "shelves": "4",
        "batches of": "100",
        "orders": "400",
        "reserved a second": "123",
        "transactions an order": "0.01",
        "conflicts": "7",
        "parked": "0",
    }
