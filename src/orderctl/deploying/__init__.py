"""Packages the functions, and plans, deploys, adopts and destroys stacks, on AWS or locally.

`package` builds the zip and `artifacts` uploads it under the hash of its content. `deployment`
makes a change set, which says what would happen, and executes or discards it. `adoption` imports
tables that an earlier stack has left, and `destruction` deletes a stack.
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
