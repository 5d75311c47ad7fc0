"""What orders ask of AWS at a rate, what AWS's quotas allow, and what it costs.

It is a calculation: the calls, units and bytes of an order are those that the bench has counted
(`counted.json`, which `make bench` writes), the quotas and prices are dated tables (`quotas.toml`,
`prices.toml`), and everything is proportional to the rate. So each figure can be worked out again
by hand.
"""

from orderctl.pipeline.capacity.bill import Bill, prices
from orderctl.pipeline.capacity.counted import Counted, load_counted
from orderctl.pipeline.capacity.demand import Demand, Load, Part, highest_rates, parts
from orderctl.pipeline.capacity.quotas import Quotas, account_quotas, load_quotas

__all__ = [
    "Bill",
    "Counted",
    "Demand",
    "Load",
    "Part",
    "Quotas",
    "account_quotas",
    "highest_rates",
    "load_counted",
    "load_quotas",
    "parts",
    "prices",
]
