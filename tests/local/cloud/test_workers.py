"""What an invocation of a Python function answers and logs, and what becomes of its process."""

import base64
import json

import pytest

from .account import Account

HANDLER = """
    import os, sys, threading, time

    print("loaded")
    calls = 0

    def handler(event, context):
        global calls
        calls += 1
        print("called", calls)
        if event == "raise":
            raise ValueError("no")
        if event == "exit":
            sys.stdout.flush()
            os._exit(3)
        if event == "sleep":
            time.sleep(10)
        if event == "much":
            for number in range(10_000):
                print("line", number)
        if event == "late":
            threading.Timer(0.3, print, ["from before"]).start()
        if event == "wait":
            time.sleep(0.6)
        os.write(1, b'{"not": "the answer"}\\n')
        return {"calls": calls, "text": "x" * 200_000 if event == "much" else "\\u00e9"}
"""


@pytest.fixture
def function(account: Account, name: str) -> str:
    account.function(name, HANDLER, timeout=3)
    return name


def invoke(account: Account, function: str, event: str) -> tuple[dict[str, object], list[str]]:
    """What it answered, and the lines of its log but the platform's."""
    answer = account.functions.invoke(
        FunctionName=function, Payload=json.dumps(event), LogType="Tail"
    )
    log = base64.b64decode(answer["LogResult"]).decode().splitlines()
    lines = [line for line in log if not line.startswith(("START ", "END ", "REPORT "))]
    return json.load(answer["Payload"]), lines


def test_each_invocation_has_its_own_log(account: Account, function: str) -> None:
    assert invoke(account, function, "") == ({"calls": 1, "text": "é"}, ["loaded", "called 1"])
    assert invoke(account, function, "") == ({"calls": 2, "text": "é"}, ["called 2"])


def test_a_line_that_comes_late_belongs_to_the_next_invocation(
    account: Account, function: str
) -> None:
    invoke(account, function, "late")
    _, log = invoke(account, function, "wait")
    assert sorted(log) == ["called 2", "from before"]


def test_a_function_that_raises_keeps_its_process(account: Account, function: str) -> None:
    answer, log = invoke(account, function, "raise")
    assert answer["errorMessage"] == "no"
    assert log[:2] == ["loaded", "called 1"]
    assert "ValueError: no" in log[-1]
    assert invoke(account, function, "")[0]["calls"] == 2


def test_a_process_that_ends_leaves_its_log_and_is_replaced(
    account: Account, function: str
) -> None:
    answer, log = invoke(account, function, "exit")
    assert "errorMessage" in answer
    assert "called 1" in log
    assert invoke(account, function, "")[0]["calls"] == 1


def test_a_process_that_takes_too_long_is_replaced(account: Account, function: str) -> None:
    answer, log = invoke(account, function, "sleep")
    assert answer["errorMessage"] == "Task timed out after 3.00 seconds"
    assert "called 1" in log
    assert invoke(account, function, "")[0]["calls"] == 1


def test_much_of_both_comes_whole(account: Account, function: str) -> None:
    answer, log = invoke(account, function, "much")
    assert answer["text"] == "x" * 200_000
    assert "line 9999" in log[-1]
