"""How simulated events reach the feeds: in whole batches, each heartbeat after all that it speaks of."""

from collections.abc import Iterable
from typing import Any

from saphan_infra.clock import now_ms
from saphan_infra.producer import Message
from saphan_publishers.delivery import Delivery
from saphan_publishers.heartbeats import completed
from saphan_publishers.messages import MessageMaker, heartbeat_maker
from saphan_schemas.topics import FEEDS, HEARTBEATS, RECORD_FEEDS

#: Topics that a simulation writes to.
SIMULATED_TOPICS = FEEDS


class SimulatedFeeds:
    """Sends records in wire form, as the simulation tells them, through an open ``delivery``."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._makers = {feed: MessageMaker(feed) for feed in RECORD_FEEDS}

    async def send(self, events: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Send events in their order of publication and return when all are acknowledged.

        Of several heartbeats of a feed the newest is sent, after the records. Raises BrokerUnavailable or
        DeliveryRefused.
        """
        waiting: dict[str, list[Message]] = {}
        heartbeats: dict[str, dict[str, Any]] = {}
        for topic, record in events:
            if topic == HEARTBEATS:
                heartbeats[record["feed"]] = record
            else:
                waiting.setdefault(topic, []).append(self._makers[topic].message(record))
        for topic, messages in waiting.items():
            await self._delivery.send(topic, messages)
        said = [await heartbeat_now(self._delivery, record) for record in heartbeats.values()]
        if said:
            await self._delivery.send(HEARTBEATS, said)


async def heartbeat_now(delivery: Delivery, record: dict[str, Any]) -> Message:
    """A simulated heartbeat with the ends of its feed as they are now."""
    ends = await delivery.end_offsets(record["feed"])
    return heartbeat_maker().heartbeat(completed({**record, "end_offsets": None}, ends, now_ms()))
