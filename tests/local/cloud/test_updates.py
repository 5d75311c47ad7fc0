import io
import json
import threading
import time
import zipfile

from .account import Account

SLOW = """
    import os, time

    def handler(event, context):
        time.sleep(event)
        return [1, os.getpid()]
"""


def new_code() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", "def handler(event, context):\n    return [2, 0]")
    return archive.getvalue()


def test_an_execution_goes_on_with_the_old_code_and_the_next_has_the_new(
    account: Account, name: str
) -> None:
    account.function(name, SLOW)
    answers: list[object] = []

    def invoke(seconds: float) -> None:
        answer = account.functions.invoke(FunctionName=name, Payload=json.dumps(seconds))
        answers.append(json.load(answer["Payload"]))

    invoke(0)  # so that the next does not wait for a start
    slow = threading.Thread(target=invoke, args=(1.5,))
    slow.start()
    time.sleep(0.5)
    account.functions.update_function_code(FunctionName=name, ZipFile=new_code())
    invoke(0)
    slow.join()
    before, meanwhile, after = answers
    assert meanwhile == [2, 0]
    assert after == before, "it was at work when the code changed, and has the old process"
