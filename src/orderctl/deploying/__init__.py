"""CloudFormation stacks: planned, deployed, watched and destroyed, on AWS or on the local cloud.

The code goes to an artifact bucket under the hash of its content, then a change set says what
would happen, and is carried out or discarded.
"""

from orderctl.deploying.adoption import LeftTables
from orderctl.deploying.deployment import (
    DEFAULT_NAME,
    Deployment,
    Plan,
    deploy,
    describe,
    outputs_of,
    parameters_of,
    prepare,
    queue_names_free_at,
)
from orderctl.deploying.destruction import Destruction
from orderctl.deploying.errors import StackError, explain
from orderctl.deploying.events import Observer, StackEvent, failure
from orderctl.deploying.template import Template

__all__ = [
    "DEFAULT_NAME",
    "Deployment",
    "Destruction",
    "LeftTables",
    "Observer",
    "Plan",
    "StackError",
    "StackEvent",
    "Template",
    "deploy",
    "describe",
    "explain",
    "failure",
    "outputs_of",
    "parameters_of",
    "prepare",
    "queue_names_free_at",
]
