"""Where things are in the project, and how paths are shown."""

import os
import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# An installed package has its data here (see setup.py); a checkout reads it in place.
_DATA = _PACKAGE / "data"

IS_CHECKOUT = not _DATA.is_dir()
"""Whether this runs in a checkout of the project, not in an installed package."""

ROOT = _PACKAGE.parents[1]
"""The root of the checkout."""


def _data(place: str) -> Path:
    """A file that stands somewhere in the checkout, and in the data of an installed package."""
    return ROOT / place if IS_CHECKOUT else _DATA / Path(place).name


def _own_folder(variable: str, default: str, in_checkout: str) -> Path:
    """A folder to write to: in the checkout, else one of the user's (XDG Base Directory)."""
    if IS_CHECKOUT:
        return ROOT / in_checkout
    return Path(os.environ.get(variable) or Path.home() / default) / "orderctl"


TEMPLATE = _data("template.yaml")
FUNCTIONS = _PACKAGE.parent / "orders"
LAMBDA_LOCK = _data("requirements/lambda.txt")
BUILD = _own_folder("XDG_CACHE_HOME", ".cache", "build")

STATE_VARIABLE = "ORDERCTL_STATE_DIR"


def state_directory() -> Path:
    """Where a running local cloud is recorded; ORDERCTL_STATE_DIR names another place."""
    chosen = os.environ.get(STATE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    return _own_folder("XDG_STATE_HOME", ".local/state", ".orderctl")


def display_path(path: Path) -> str:
    """A path as one would type it: relative if it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def orderctl() -> str:
    """This program as one would type it here: by name if it is on the PATH, else by path."""
    script = Path(sys.prefix, "bin", "orderctl")
    on_path = shutil.which("orderctl")
    # pipx and uv put a link to it on the PATH.
    same = on_path and Path(on_path).resolve() == script.resolve()
    return "orderctl" if same else display_path(script)
