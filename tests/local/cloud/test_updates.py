import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

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

    def invoke(seconds: float) -> object:
        answer = account.functions.invoke(FunctionName=name, Payload=json.dumps(seconds))
        return json.load(answer["Payload"])

    before = invoke(0)  # so that the next does not wait for a start
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(invoke, 1.5)
        time.sleep(0.5)
        account.functions.update_function_code(FunctionName=name, ZipFile=new_code())
        meanwhile, after = invoke(0), slow.result()
    assert meanwhile == [2, 0]
    assert after == before, "it was at work when the code changed, and has the old process"
