"""``handful label`` and ``handful serve`` in a process of their own, to be asked, stopped and killed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request

AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"


class Server:
    """The command in a process of its own."""

    def __init__(self, *words: object, cwd, port: object = 0, backbone: str = "toy-text") -> None:
        self._start("label", *words, "--port", port, "--no-browser", "--backbone", backbone, cwd=cwd)

    @classmethod
    def of_run(cls, run: object, *words: object, cwd) -> Server:
        """``handful serve``."""
        made = cls.__new__(cls)
        made._start("serve", run, *words, "--port", 0, cwd=cwd)
        return made

    def _start(self, *words: object, cwd) -> None:
        line = [sys.executable, "-c", AS_COMMAND, *map(str, words)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        assert found is not None, self.said + self.process.stderr.read()
        self.address = found[0]

    def get(self, path: str):
        with urllib.request.urlopen(self.address + path, timeout=60) as response:
            return json.load(response)

    def post(self, path: str, body):
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode
