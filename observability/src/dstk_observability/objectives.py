"""What the service promises to its callers, in figures: dashboards show it, alerts guard it."""

from typing import Final

AVAILABILITY: Final = 0.999
"""The share of operations that do not fail. What callers cause does not count; at a router, what it has to refuse does."""

FAST_SECONDS: Final = 0.05
FAST: Final = 0.99
"""The share of Execute messages that are answered within FAST_SECONDS."""

PERIOD_DAYS: Final = 30
"""Over which the error budget is counted."""

BURN_RATES: Final = {"5m": 14.4, "30m": 6.0, "1h": 14.4, "6h": 6.0}
"""Windows, and the burn rates beyond which a budget is gone in 2 days (14.4) or in 5 (6)."""
