"""What a local cloud leaves when it stops, so that the next one can go on with it.

The server saves MiniStack's state in a directory, beside the port and the root user's key that the
state is of: addresses with the port stand in the stack's outputs and in the functions' variables.
The directory is replaced as a whole, so a server that is killed leaves what the last one saved.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from orderctl import paths
from orderctl.errors import OrderctlError

_CLOUD = "cloud.json"
_STATE = "state"


@dataclass(frozen=True, slots=True)
class Kept:
    """Of which local cloud a kept state is.

    Attributes:
        version: The program that can read it.
        port: Its port.
        access_key_id: The root user's.
        secret_access_key: The root user's.
    """

    version: str
    port: int
    access_key_id: str
    secret_access_key: str


def find(directory: Path) -> Kept | None:
    """Find what is kept in a directory; None if nothing is.

    Raises:
        OrderctlError: It is of another version, or damaged.
    """
    if not directory.exists():
        return None
    start_anew = f"To start anew, delete {paths.display_path(directory)}."
    try:
        kept = Kept(**json.loads((directory / _CLOUD).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise OrderctlError(f"The kept local cloud is damaged. {start_anew}") from error
    if kept.version != this_version():
        raise OrderctlError(
            f"The kept local cloud is of version {kept.version}, and this is {this_version()}. "
            f"Go back to that version with git, or start without --keep. {start_anew}"
        )
    return kept


def load(directory: Path, into: Path) -> None:
    """Copy a kept state, if there is one, to where MiniStack loads it from."""
    if (directory / _STATE).exists():
        shutil.copytree(directory / _STATE, into)


def save(directory: Path, kept: Kept, state: Path) -> None:
    """Keep the state that MiniStack has saved, in the place of what was kept before."""
    new, old = directory.with_name("kept.new"), directory.with_name("kept.old")
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    new.mkdir(mode=0o700)
    shutil.copytree(state, new / _STATE)
    (new / _CLOUD).write_text(json.dumps(asdict(kept), indent=2))
    if directory.exists():
        directory.rename(old)
    new.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def this_version() -> str:
    """MiniStack's version, and a digest of the code around it."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return f"{version('ministack')}-{digest.hexdigest()[:8]}"
