"""Where a service is."""

from __future__ import annotations

import pytest

from orders.aws.wire.endpoints import Endpoint, WrongSettingError, find, region


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no region and no URL."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_region_is_lambdas_unless_another_is_named(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongSettingError):
        region()
    environment.setenv("AWS_REGION", "eu-west-1")
    assert region() == "eu-west-1"
    environment.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert region() == "eu-north-1"


def test_few_services_have_a_fips_endpoint_of_their_own_in_govcloud(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AWS_REGION", "us-gov-west-1")
    environment.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert find("sqs", "SQS").host == "sqs.us-gov-west-1.amazonaws.com"
    fips = find("dynamodb", "DYNAMODB", fips_in_govcloud=True)
    assert fips.host == "dynamodb-fips.us-gov-west-1.amazonaws.com"


def test_a_url_has_a_path_and_no_user(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://localhost:4566/boX/")
    assert find("sqs", "SQS") == Endpoint("http", "localhost", 4566, "/boX")
    environment.setenv("AWS_ENDPOINT_URL", "http://user@localhost:4566")
    with pytest.raises(WrongSettingError):
        find("sqs", "SQS")
