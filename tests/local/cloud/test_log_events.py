import json
from typing import Literal

from .account import Account, wait_for


def lines(account: Account, name: str) -> list[str]:
    """What the function has logged, without Lambda's own lines."""
    logs = account.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    own = ("START", "END", "REPORT")
    return [e["message"].strip() for e in events if not e["message"].startswith(own)]


def test_a_function_that_cannot_be_loaded_says_so_in_its_log(account: Account, name: str) -> None:
    account.function(name, "import nowhere")
    answer = account.functions.invoke(FunctionName=name)
    error = json.load(answer["Payload"])
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert wait_for(lambda: lines(account, name)) == [
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'index': "
        "No module named 'nowhere'"
    ]


def test_an_exception_is_logged_once(account: Account, name: str) -> None:
    account.function(name, "def handler(event, context): raise ValueError('no')")
    assert "FunctionError" in account.functions.invoke(FunctionName=name)
    wait_for(lambda: lines(account, name))
    assert lines(account, name).count("ValueError: no") == 1


def system_events(
    account: Account, name: str, level: Literal["INFO", "WARN"]
) -> list[tuple[str, str | None]]:
    """What Lambda itself logs of two invocations, the second of which fails."""
    account.function(name, "def handler(event, context): print({}[event] if event else 'fine')")
    account.functions.update_function_configuration(
        FunctionName=name, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level}
    )
    for payload in ("0", "1"):
        account.functions.invoke(FunctionName=name, Payload=payload)
    wait_for(lambda: [line for line in lines(account, name) if "KeyError" in line])
    assert "fine" in lines(account, name)
    events = [json.loads(line) for line in lines(account, name) if line.startswith("{")]
    return [(event["type"], event["record"].get("status")) for event in events]


def test_lambda_itself_logs_failures_alone_if_it_is_asked_to(account: Account, name: str) -> None:
    assert system_events(account, name, "WARN") == [
        ("platform.runtimeDone", "error"),
        ("platform.report", "error"),
    ]


def test_lambda_itself_logs_events_in_json(account: Account, name: str) -> None:
    assert system_events(account, name, "INFO") == [
        ("platform.start", None),
        ("platform.report", "success"),
        ("platform.start", None),
        ("platform.runtimeDone", "error"),
        ("platform.report", "error"),
    ]
