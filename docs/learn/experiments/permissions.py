"""What each function may do, from the template: action by action, with its resource."""

from __future__ import annotations

import sys

from orderctl.deploying import Template


def main(wanted: str) -> None:
    """Print the statements of the role of one function, by its logical id without `Function`."""
    role = Template.load().resources()[f"{wanted}Role"]["Properties"]
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                print(f"{statement['Effect']:<6} {action:<32} {statement['Resource']}")


main(sys.argv[1])
