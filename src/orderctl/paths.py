"""Where things are in the project, and how paths are shown."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
FUNCTIONS = ROOT / "src" / "orders"
LAMBDA_LOCK = ROOT / "requirements" / "lambda.txt"
BUILD = ROOT / "build"

STATE_VARIABLE = "ORDERCTL_STATE_DIR"


def state_directory() -> Path:
    """Where a running local cloud is recorded: `.orderctl/`, or what ORDERCTL_STATE_DIR names."""
    chosen = os.environ.get(STATE_VARIABLE)
    return Path(chosen).absolute() if chosen else ROOT / ".orderctl"


def display_path(path: Path) -> str:
    """A path as one would type it: relative if it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def orderctl() -> str:
    """This program as one would type it here: by name if it is on the PATH, else by path."""
    script = Path(sys.prefix, "bin", "orderctl")
    on_path = shutil.which("orderctl")
    return "orderctl" if on_path and Path(on_path) == script else display_path(script)
