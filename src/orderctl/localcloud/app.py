"""MiniStack's ASGI application, with the supplements in and around it."""

import asyncio

from ministack import app as ministack_app

from orderctl.localcloud import dates, front_door, randomness, routes, seams, threads, traces
from orderctl.localcloud.asgi import App, Message, Receive, Scope, Send, json_response
from orderctl.localcloud.gaps import logs, sns
from orderctl.localcloud.gaps.apigateway import authorizers, invoke_method, requests
from orderctl.localcloud.gaps.awslambda import (
    async_invocations,
    batches,
    executions,
    existence,
    mappings,
    permissions,
    updates,
    workers,
)
from orderctl.localcloud.gaps.cloudformation import (
    conditions,
    deletions,
    early_validation,
    template_properties,
)
from orderctl.localcloud.gaps.cloudwatch import alarms, datapoints, metric_filters
from orderctl.localcloud.gaps.dynamodb import conflicts, copies, expressions, throughput
from orderctl.localcloud.gaps.events import archives, delivery, entries, schedules
from orderctl.localcloud.gaps.iam import (
    actions,
    bodies,
    leading_keys,
    memory,
    policies,
    principals,
)
from orderctl.localcloud.gaps.sqs import message_moves, queues
from orderctl.localcloud.state import HEALTH_PATH, TRACES_PATH


def build_app(instance: str, transaction_seconds: float = 0.0) -> App:
    """Compose the local cloud.

    Args:
        instance: Returned by the health check, so that a caller can recognize its own server.
        transaction_seconds: How long a transaction of DynamoDB holds its items.
    """
    seams.check_version()
    for supplement in (
        memory,
        principals,
        policies,
        bodies,
        expressions,
        copies,
        actions,
        entries,
        permissions,
        mappings,
        existence,
        executions,  # bounds what mappings allow
        async_invocations,
        delivery,
        archives,
        batches,
        requests,
        authorizers,
        template_properties,
        alarms,
        datapoints,
        message_moves,
        sns,
        logs,
        traces,
        metric_filters,
        schedules,
        updates,
        workers,
        threads,
        deletions,
        conditions,
        early_validation,
        leading_keys,
        randomness,
        dates,
        routes,
    ):
        supplement.install()
    conflicts.install(transaction_seconds)
    throughput.install()
    # The server saves the state when nothing changes it any more.
    seams.replace(ministack_app, "save_all", lambda _: None)
    queues.install()  # last: it also moves the others' replacements to the event loop
    aws: App = ministack_app.app
    for module in (invoke_method, message_moves, traces):
        aws = module.supplement(aws)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _with_background(aws, scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == HEALTH_PATH:
            await json_response(200, {"instance": instance}).send(send)
        elif scope["type"] == "http" and scope["path"] == TRACES_PATH:
            await (await traces.answer(scope)).send(send)
        else:
            await aws(scope, receive, send)

    return front_door.supplement(app)


async def _with_background(aws: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass the lifespan through, and watch the alarms while it lasts."""
    watching: list[asyncio.Task[None]] = []

    async def send_and_watch(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            watching.append(asyncio.create_task(alarms.watch()))
        await send(message)

    try:
        await aws(scope, receive, send_and_watch)
    finally:
        for task in watching:
            task.cancel()
