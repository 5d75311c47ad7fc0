"""What a FIFO topic of the local cloud remembers."""

from __future__ import annotations

import time

from orderctl.localcloud.gaps import sns


def test_forgets_what_is_over_and_keeps_the_rest() -> None:
    now = time.time()
    topic = {"dedup_cache": {"a": {"expire": now - 2}, "b": {"expire": now - 1}}}
    topic["dedup_cache"]["c"] = {"expire": now + 60}
    sns.forget(topic)
    assert topic["dedup_cache"].keys() == {"c"}


def test_a_topic_from_a_template_has_nothing_to_forget() -> None:
    topic: dict[str, object] = {}
    sns.forget(topic)
    assert topic == {"dedup_cache": {}}
