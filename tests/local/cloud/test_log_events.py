import json

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
