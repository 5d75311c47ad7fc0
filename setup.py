"""What `pyproject.toml` cannot say: the dependencies' versions, and data from outside the packages.

The versions are those that `make setup` installs; `requirements/*.in` alone have them. Whoever
installs the project with pip, pipx or uv gets the same.
"""

import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
NEEDED = (
    *("boto3", "cyclopts", "filelock", "htpy", "msgspec", "psutil", "pyyaml", "rich", "starlette"),
    *("urllib3", "uvicorn"),
)
"""What orderctl needs, and pip, with which it packages the functions' libraries."""

LOCAL = ("cryptography", "httptools", "ministack", "uvloop")
"""What only the local cloud needs: the extra "local"."""

DATA = ("template.yaml", "requirements/lambda.txt")
"""What orderctl reads, and finds in `orderctl/data` when it is installed; see `orderctl.paths`."""


class BuildWithData(build_py):
    """Builds the packages with that data in them; an editable installation reads it in place."""

    def run(self) -> None:  # noqa: D102 - as its base does
        super().run()
        if not self.editable_mode:
            data = Path(self.build_lib, "orderctl", "data")
            self.mkpath(str(data))
            for name in DATA:
                self.copy_file(str(ROOT / name), str(data / Path(name).name))


def pinned(names: tuple[str, ...]) -> list[str]:
    """Requirements of these names with the versions that are installed by `make setup`."""
    texts = [(ROOT / "requirements" / name).read_text() for name in ("lambda.in", "dev.in")]
    lines = re.findall(r"^([\w-]+)(==\S+.*)$", "\n".join(texts), re.MULTILINE)
    versions = {name.lower(): version for name, version in lines}
    return [name + versions[name] for name in names]


setup(
    cmdclass={"build_py": BuildWithData},
    install_requires=[*pinned(NEEDED), "pip"],
    extras_require={"local": pinned(LOCAL)},
)
