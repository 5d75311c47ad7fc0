"""The environment the functions read when they are imported, as the template sets it."""

import atexit
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

from orderctl.terminal import console
from simulation.template import topology

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell's background job ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The contexts of whoever runs the tests are left alone, and change nothing.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="orderctl-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)
for variable in ("ORDERCTL_CONTEXT", "ORDERCTL_STACK"):
    os.environ.pop(variable, None)
if "ORDERCTL_TEST_STACK" not in os.environ:  # a deployed stack wants real ones
    os.environ.update(
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
    )
for function in topology().functions.values():
    os.environ.update(function.environment)
# Anyone may call the API, no charge fails by chance, and nobody waits for a retry.
os.environ.update(
    API_AUTHORIZATION="NONE",
    RETRY_DELAY_SECONDS="1",
    CHARGE_FAILURE_RATE="0",
    POWERTOOLS_METRICS_NAMESPACE="OrderPipeline",
)


@pytest.fixture(autouse=True)
def speaks_text() -> None:
    """Each test begins as a command without --json does, whatever a test before it was."""
    console.begin(as_json=False)


def pytest_xdist_auto_num_workers() -> int:
    """How many tests run at once: one more than there are cores, as many tests wait for queues."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file: else one process has it to itself at the end."""
    items.sort(key=lambda item: item.path.name != "test_simulation.py")
