"""The contexts: the places that commands can work on, each with a name, kept for the user.

A context is the local cloud, or a stack with its account, region and profile. The file is
`orderctl/contexts.json` in the user's folder of settings (`XDG_CONFIG_HOME`, or `~/.config`). It
holds no secrets: who is called is decided by AWS's own settings and the context's profile.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orderctl import paths
from orderctl.deploying import DEFAULT_NAME
from orderctl.errors import OrderctlError, UsageError

LOCAL = "local"
"""The name of the context that is always there: the local cloud."""

NONE = "none"
"""What is typed for no context."""


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that commands can work on.

    Attributes:
        name: Its name; empty for a place that options or the environment describe.
        stack: The stack's name.
        local: Whether it is in the local cloud.
        account: The account's number; None while it is not known.
        region: The region; None for that of AWS's settings.
        profile: The profile with the credentials; None for those of AWS's settings.
        endpoint: Where all calls go, for a cloud that is not AWS; None for AWS.
    """

    name: str = ""
    stack: str
    local: bool = False
    account: str | None = None
    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None

    def place(self) -> tuple[str, str | None, str | None, str | None]:
        """What tells one stack from another, whatever the context is called."""
        return (self.stack, self.account, self.region, self.endpoint)


LOCAL_CLOUD = Context(name=LOCAL, stack=DEFAULT_NAME, local=True)


class Contexts(msgspec.Struct, frozen=True, kw_only=True):
    """The user's contexts.

    Attributes:
        current: The name of the one that is in use; None when none was chosen.
        stacks: All of them but the local cloud's.
    """

    current: str | None = None
    stacks: tuple[Context, ...] = ()

    def find(self, name: str) -> Context:
        """A context by its name.

        Raises:
            UsageError: There is none of that name.
        """
        known = {each.name: each for each in self.all()}
        if name not in known:
            raise UsageError(
                f"There is no context {name}. The contexts are: {', '.join(known)}. "
                f"To add one: {paths.orderctl()} context add NAME --stack STACK"
            )
        return known[name]

    def all(self) -> tuple[Context, ...]:
        """All of them, the local cloud's first."""
        return (LOCAL_CLOUD, *self.stacks)

    def with_stack(self, new: Context) -> Contexts:
        """The same with a stack, in place of the context that has its name."""
        others = (each for each in self.stacks if each.name != new.name)
        ordered = sorted((*others, new), key=lambda each: each.name)
        return Contexts(current=self.current, stacks=tuple(ordered))

    def without(self, name: str) -> Contexts:
        """The same without a context; if it was in use, none is."""
        current = None if self.current == name else self.current
        return Contexts(
            current=current, stacks=tuple(each for each in self.stacks if each.name != name)
        )

    def using(self, name: str | None) -> Contexts:
        """The same with another one in use; None for none."""
        return Contexts(current=name, stacks=self.stacks)

    def name_for(self, new: Context) -> str:
        """A name for a stack that was deployed: its own, unless another place has that name."""
        same = [each.name for each in self.stacks if each.place() == new.place()]
        taken = {each.name for each in self.stacks}
        names = (new.stack, f"{new.stack}@{new.region}", f"{new.stack}@{new.account}@{new.region}")
        return same[0] if same else next((name for name in names if name not in taken), names[-1])


def file() -> Path:
    """Where the contexts are kept."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "orderctl" / "contexts.json"


def load() -> Contexts:
    """Read the contexts; none are there before the first is written.

    Raises:
        OrderctlError: The file cannot be read, or is damaged.
    """
    path = file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Contexts)
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise OrderctlError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise OrderctlError(
            f"{path} is not a file of contexts: {error}. Mend it, or delete it to begin anew."
        ) from error


def save(contexts: Contexts) -> None:
    """Write the contexts, so that a reader sees the old file or the new one, never a part.

    Raises:
        OrderctlError: The file cannot be written.
    """
    path = file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".contexts-")
        with os.fdopen(descriptor, "wb") as written:
            written.write(msgspec.json.format(msgspec.json.encode(contexts), indent=2) + b"\n")
        Path(scratch).replace(path)
    except OSError as error:
        raise OrderctlError(f"{path} cannot be written: {error.strerror}.") from error


def names() -> Sequence[str]:
    """The names of all contexts, for the shell's completion."""
    return [each.name for each in load().all()]
