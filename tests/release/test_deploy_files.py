"""What lies beside an exported model for a container and for systemd is understood by these, where they are."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files

import pytest

TEMPLATES = files("handful") / "templates"


def test_systemd_understands_the_service(tmp_path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze here")
    service = tmp_path / "handful.service"
    service.write_text((TEMPLATES / "onnx_service.txt").read_text("utf-8"))
    done = subprocess.run([tool, "verify", str(service)], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "handful.service" in line]
    # The program is put there by whoever uses the file.
    assert [line for line in said if "is not executable" not in line] == []


def test_a_container_is_built_from_the_folder_alone():
    lines = (TEMPLATES / "onnx_Dockerfile.txt").read_text("utf-8").splitlines()
    words = [line.partition(" ")[0] for line in lines if line and not line.startswith("#")]
    assert words == ["FROM", "RUN", "COPY", "USER", "ENTRYPOINT"]
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no container engine runs here, so that nothing is built")
