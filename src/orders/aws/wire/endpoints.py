"""Where a service is: from the region, or as the environment says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

_SUFFIXES: Final = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
"""The domain of each partition but the first and GovCloud, by how its regions begin."""
_SUFFIX: Final = "amazonaws.com"
_GOVCLOUD: Final = "us-gov-"
_PORTS: Final = {"http": 80, "https": 443}


class WrongSettingError(Exception):
    """The environment does not say where AWS is."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go."""

    scheme: str
    host: str
    port: int
    path: str = ""
    """In front of every request's path; without a slash at its end."""

    @property
    def netloc(self) -> str:
        """The host, and the port unless it is the scheme's own: the header ``Host``."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


def region() -> str:
    """The region, in which Lambda runs the function.

    Raises:
        WrongSettingError: the environment does not name one.
    """
    named = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    if not named:
        raise WrongSettingError("AWS_REGION is not set")
    return named


def find(service: str, service_id: str, *, fips_in_govcloud: bool = False) -> Endpoint:
    """Find a service.

    ``AWS_ENDPOINT_URL_<SERVICE>`` comes first, then ``AWS_ENDPOINT_URL``, then the region's own
    (AWS SDKs and tools reference guide, "Service-specific endpoints").

    Args:
        service: as it stands in host names.
        service_id: as it stands in that variable.
        fips_in_govcloud: whether its FIPS endpoints in GovCloud have a name of their own there;
            those of most services are the usual ones.

    Raises:
        WrongSettingError: the environment has no region, or no usable URL.
    """
    url = os.environ.get(f"AWS_ENDPOINT_URL_{service_id}") or os.environ.get("AWS_ENDPOINT_URL")
    if url:
        return _parse(url)
    here = region()
    suffix = next((s for start, s in _SUFFIXES.items() if here.startswith(start)), _SUFFIX)
    fips = os.environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true"
    if fips and (fips_in_govcloud or not here.startswith(_GOVCLOUD)):
        service += "-fips"
    return Endpoint("https", f"{service}.{here}.{suffix}", _PORTS["https"])


def _parse(url: str) -> Endpoint:
    scheme, _, rest = url.partition("://")
    netloc, _, path = rest.partition("/")
    host, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):  # an IPv6 address without a port
        host, port = netloc, str(_PORTS.get(scheme, 0))
    if scheme not in _PORTS or not host or not port.isdecimal() or "@" in host:
        raise WrongSettingError("AWS_ENDPOINT_URL is no URL like https://host:port")
    return Endpoint(scheme, host, int(port), f"/{path}".rstrip("/"))
