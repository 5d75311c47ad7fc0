"""The quotas: a dated table of AWS's defaults by region, or what an account really has."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    import boto3

QUOTAS: Final = Path(__file__).with_name("quotas.toml")


@dataclass(frozen=True, slots=True)
class Quota:
    """What AWS allows of something."""

    name: str
    """As Service Quotas or AWS's page names it."""
    unit: str
    limit: float
    adjustable: bool
    """Whether AWS raises it when asked."""
    page: str
    """Where it is documented."""
    service: str | None
    """The code of the service in Service Quotas; None for what is not there."""
    code: str | None


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a region."""

    region: str
    as_of: str
    of_account: bool
    """Whether they are an account's own, and not AWS's defaults."""
    by_key: Mapping[str, Quota]

    def __getitem__(self, key: str) -> Quota:
        """The quota with a key of the table."""
        return self.by_key[key]


def load_quotas(region: str) -> Quotas:
    """AWS's defaults in a region. In a region that the table does not name, they are the lowest."""
    table = tomllib.loads(QUOTAS.read_text(encoding="utf-8"))
    as_of = table.pop("as_of")
    found = {key: _quota(entry, region) for key, entry in table.items()}
    return Quotas(region, as_of, False, found)


def _quota(entry: Mapping[str, Any], region: str) -> Quota:
    return Quota(
        entry["name"],
        entry["unit"],
        entry.get("regions", {}).get(region, entry["default"]),
        entry["adjustable"],
        entry["page"],
        entry.get("service"),
        entry.get("code"),
    )


def account_quotas(session: boto3.Session) -> Quotas:
    """The quotas of the session's account and region; those that Service Quotas lacks by default.

    Raises:
        OrderctlError: The account could not be asked.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 — slow to load

    defaults = load_quotas(session.region_name)
    try:
        client = session.client("service-quotas")
        found = {key: _own(client, quota) for key, quota in defaults.by_key.items()}
    except (BotoCoreError, ClientError) as error:
        raise OrderctlError(
            f"Service Quotas could not be asked: {error}\n"
            "It needs the permission servicequotas:GetServiceQuota. Without --account the "
            "defaults of AWS are taken."
        ) from error
    return replace(defaults, of_account=True, by_key=found)


def _own(client: Any, quota: Quota) -> Quota:  # noqa: ANN401 - has no type stubs here
    """A quota as the account has it."""
    if quota.service is None or quota.code is None:
        return quota
    try:
        answer = client.get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
    except client.exceptions.NoSuchResourceException:
        return quota
    return replace(quota, limit=answer["Quota"]["Value"])
