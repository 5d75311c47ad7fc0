"""AWS for one function at a time: quick, counted, and as far away as one likes.

The answers are those of MiniStack's services, so conditions, transactions and PartiQL are evaluated
as in the local cloud; only its HTTP server and its authentication are left out. Runs in a process
of its own, so that none of its work is counted as the function's.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs
from urllib.request import ProxyHandler, build_opener

from bench.units import Units

HOST: Final = "127.0.0.1"
_CONTROL: Final = "/bench/"
_SERVICES: Final = {
    "DynamoDB_20120810": "dynamodb",
    "AWSEvents": "eventbridge",
    "AmazonSQS": "sqs",
    "": "sns",
}

Headers = dict[str, str]
Answer = tuple[int, Headers, bytes]


@dataclass(slots=True)
class Emulator:
    """The services, how far away they are, and what was asked of them."""

    latency: float = 0.0
    """Seconds that an answer takes longer."""
    counting: bool = False
    """Whether units are counted, which takes more calls of the services themselves."""
    units: Units = field(default_factory=Units)
    calls: Counter[str] = field(default_factory=Counter)
    """By operation."""
    _modules: dict[str, Any] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it is closed."""
        try:
            while request := await _read(reader):
                path, headers, body = request
                status, answered, content = await self._answer(path, headers, body)
                if self.latency and not path.startswith(_CONTROL):
                    await asyncio.sleep(self.latency)
                answered = {**answered, "Content-Length": str(len(content))}
                lines = "".join(f"{name}: {value}\r\n" for name, value in answered.items())
                writer.write(f"HTTP/1.1 {status} OK\r\n{lines}\r\n".encode() + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the function has hung up
        finally:
            writer.close()

    async def _answer(self, path: str, headers: Headers, body: bytes) -> Answer:
        if path.startswith(_CONTROL):
            return self._control(json.loads(body))
        service, _, operation = headers.get("x-amz-target", "").rpartition(".")
        if not service:
            operation = parse_qs(body.decode())["Action"][0]
        self.calls[operation] += 1
        name = _SERVICES[service]
        if not self.counting:
            return await self._ask(name, path, headers, body)
        if name == "eventbridge" and operation == "PutEvents":
            self.units.events += len(json.loads(body)["Entries"])
        if name != "dynamodb":
            return await self._ask(name, path, headers, body)
        arguments = json.loads(body)
        before = await self._items(headers, self.units.touched(operation, arguments))
        answer = await self._ask(name, path, headers, body)
        after = await self._items(headers, self.units.touched(operation, arguments))
        self.units.count(operation, arguments, before, after)
        return answer

    async def _ask(self, name: str, path: str, headers: Headers, body: bytes) -> Answer:
        module = self._modules.get(name) or importlib.import_module(f"ministack.services.{name}")
        self._modules[name] = module
        status, answered, content = await module.handle_request("POST", path, headers, body, {})
        return status, answered, content if isinstance(content, bytes) else content.encode()

    async def _items(self, headers: Headers, keys: list[tuple[str, str, str]]) -> list[Any]:
        """The items as they stand, None for one that is not there."""
        items = []
        asked = {**headers, "x-amz-target": "DynamoDB_20120810.GetItem"}
        for table, name, value in keys:
            body = json.dumps({"TableName": table, "Key": {name: {"S": value}}}).encode()
            _, _, content = await self._ask("dynamodb", "/", asked, body)
            items.append(json.loads(content).get("Item"))
        return items

    def _control(self, order: dict[str, Any]) -> Answer:
        """Take an order of the bench, and tell what was counted since the last one."""
        counted = {"calls": dict(self.calls), **self.units.as_dict()}
        self.calls, self.units = Counter(), Units()
        self.latency, self.counting = order["latency"], order["counting"]
        return 200, {"Content-Type": "application/json"}, json.dumps(counted).encode()


async def _read(reader: asyncio.StreamReader) -> tuple[str, Headers, bytes] | None:
    """One request: path, headers by lower-case name, body; None when there is no more."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return first.split(" ")[1], headers, body


@dataclass(frozen=True, slots=True)
class Aws:
    """The emulator as the bench sees it."""

    endpoint: str

    def reset(self, *, latency: float = 0.0, counting: bool = False) -> dict[str, Any]:
        """Set the distance to AWS, in seconds, and take what was counted so far."""
        body = json.dumps({"latency": latency, "counting": counting}).encode()
        opener = build_opener(ProxyHandler({}))
        with opener.open(self.endpoint + _CONTROL, body) as answer:
            counted: dict[str, Any] = json.load(answer)
        return counted


@contextmanager
def start() -> Iterator[Aws]:
    """Run the emulator in a process of its own, on a free port of this machine."""
    command = (sys.executable, "-m", "bench.emulator")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Aws(f"http://{HOST}:{int(process.stdout.readline())}")
        finally:
            process.terminate()


async def _main() -> None:
    logging.disable()  # MiniStack tells of every notification
    server = await asyncio.start_server(Emulator().serve, HOST, 0, limit=2**20)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # The bench holds the other end of standard input: when it is gone, so is the emulator.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
