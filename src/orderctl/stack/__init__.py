"""CloudFormation stacks: planned, deployed, watched and destroyed, on AWS or on the local cloud.

The code goes to an artifact bucket under the hash of its content, then a change set says what
would happen, and is carried out or discarded.
"""

from orderctl.stack.adoption import LeftTables
from orderctl.stack.deployment import (
    DEFAULT_NAME,
    Deployment,
    Plan,
    Silent,
    deploy,
    describe,
    outputs_of,
    parameters_of,
    prepare,
    queue_names_free_at,
)
from orderctl.stack.destruction import Destruction
from orderctl.stack.errors import StackError, explain
from orderctl.stack.events import Observer, StackEvent, failure
from orderctl.stack.template import ParameterError, Template

__all__ = [
    "DEFAULT_NAME",
    "Deployment",
    "Destruction",
    "LeftTables",
    "Observer",
    "ParameterError",
    "Plan",
    "Silent",
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
