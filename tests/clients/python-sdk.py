"""Drives a relay with the nostr-sdk of Python, as bots do: python python-sdk.py ws://127.0.0.1:7777

  publish --> fetch by several filters --> live --> replace, delete --> sync (NIP-77) up, down, both --> private messages

The relay has to be empty. The last line says `N passed, 0 failed`; the exit status is 1 if a check failed.
"""

import asyncio
import os
import sys
import tempfile

import nostr_sdk as sdk
from harness import DEADLINE, check, same, same_set, summary, within

START = 1_700_000_000
URL = sdk.RelayUrl.parse(sys.argv[1])
KEYS = [sdk.Keys.parse(f"{n:02x}" * 32) for n in range(1, 6)]
EXIT = sdk.ReqExitPolicy.EXIT_ON_EOSE()


def signed(author, kind, at, tags=(), content=""):
    """An event of author number `author`."""
    builder = sdk.EventBuilder(sdk.Kind(kind), content).tags([sdk.Tag.parse(list(tag)) for tag in tags])
    return builder.custom_created_at(sdk.Timestamp.from_secs(START + at)).finalize(KEYS[author])


def ids(events):
    return [event.id().to_hex() for event in events]


def hexes(found):
    return [id.to_hex() for id in found]


def newest_first(events):
    return sorted(events, key=lambda event: (-event.created_at().as_secs(), event.id().to_hex()))


async def connect(author=None, database=None):
    """A client that gives up on a relay which sends what was not asked for, and its connection."""
    builder = sdk.ClientBuilder().verify_subscriptions(True).ban_relay_on_mismatch(True)
    if author is not None:
        builder = builder.authenticator(sdk.SignerAuthenticator(KEYS[author]))
    if database is not None:
        builder = builder.database(database)
    client = builder.build()
    await client.add_relay(URL)
    output = await client.try_connect(DEADLINE)
    assert output.success == [URL], output.failed
    return client


async def publish(client, events):
    for event in events:
        output = await client.send_event(event, ok_timeout=DEADLINE)
        assert output.success == [URL], output.failed


async def refused(client, event, why):
    try:
        output = await client.send_event(event, ok_timeout=DEADLINE)
    except sdk.NostrSdkError as error:
        said = str(error)
    else:
        said = output.failed.get(URL, "it was accepted")
    assert why in said, said


async def fetch(client, *filters):
    return await client.fetch_events(sdk.ReqTarget.auto(list(filters)), timeout=DEADLINE, policy=EXIT)


async def count(client, filter):
    """COUNT. `count_events` of the library listens only after it has asked, and so misses a quick answer."""
    stream, relay = client.notifications(), await client.relay(URL)
    await relay.send_msg(sdk.ClientMessage.from_json(f'["COUNT","count",{filter.as_json()}]'))
    while True:
        item = await within(stream.next())
        message = item.message.as_enum() if item.is_message() else None
        if message is not None and message.is_count():
            assert message.subscription_id == "count"
            return message.count


NOTES = [
    signed(i % 2, 1, i // 2, [("t", f"topic{i % 3}"), ("p", KEYS[i % 5].public_key().to_hex())], f"Ünïcode 🦩 \" \\ {i}")
    for i in range(90)
]


def filters():
    """Filters by name. The twin is the `match_event` of the library."""
    at, key = sdk.Timestamp.from_secs, KEYS[0].public_key()
    return {
        "everything": sdk.Filter(),
        "an author": sdk.Filter().author(key),
        "a topic": sdk.Filter().hashtag("topic1"),
        "topics of an author": sdk.Filter().author(key).hashtags(["topic0", "topic2"]),
        "who is named": sdk.Filter().pubkey(KEYS[3].public_key()).kind(sdk.Kind(1)),
        "a time": sdk.Filter().since(at(START + 7)).until(at(START + 21)),
        "ids": sdk.Filter().ids([note.id() for note in NOTES[20:50]]),
        "a limit": sdk.Filter().kind(sdk.Kind(1)).limit(7),
        "another kind": sdk.Filter().kind(sdk.Kind(7)),
    }


async def fetching(one, other):
    async def accepted():
        await publish(one, NOTES)

    await check("events are accepted", accepted)
    for name, filter in filters().items():

        async def asked():
            matches = [event for event in newest_first(NOTES) if filter.match_event(event)]
            wanted = matches[: filter.as_record().limit or 500]
            found = await fetch(other, filter)
            same(ids(found), ids(wanted))
            assert all(event.verify() for event in found)
            assert await count(other, filter) == len(matches)

        await check(f"fetch: {name}", asked)

    async def unchanged():
        same([event.as_json() for event in await fetch(other, sdk.Filter())], [event.as_json() for event in newest_first(NOTES)])

    await check("events come back as they were published", unchanged)


async def live(one, other):
    async def comes():
        stream = other.notifications()
        output = await other.subscribe(sdk.ReqTarget.auto([sdk.Filter().hashtag("live")]), id="live")
        assert output.success == [URL]
        said = [signed(2, 1, 200 + i, [("t", "live" if i % 4 else "other")], str(i)) for i in range(20)]
        got, wanted, eose = [], ids(said[i] for i in range(20) if i % 4), False
        while len(got) < len(wanted):
            item = await within(stream.next())
            message = item.message.as_enum() if item.is_message() else None
            if message is not None and message.is_end_of_stored_events():
                assert not eose and not got
                eose = True
                await publish(one, said)
            elif message is not None and message.is_event_msg():
                got.append(message.event.id().to_hex())
        same(got, wanted)
        await other.unsubscribe("live")

    await check("live events come behind EOSE, each once, in order", comes)


async def changes(one, other):
    async def replaced():
        profiles = [signed(0, 0, at, content=f'{{"name":"{at}"}}') for at in (310, 320, 305)]
        articles = [signed(0, 30_023, at, [("d", d)]) for at, d in ((301, "a"), (302, "b"), (303, "a"))]
        await publish(one, profiles + articles)
        same(ids(await fetch(other, sdk.Filter().kind(sdk.Kind(0)))), ids([profiles[1]]))
        same(ids(await fetch(other, sdk.Filter().kind(sdk.Kind(30_023)))), ids([articles[2], articles[1]]))

    async def deleted():
        gone, article = signed(1, 1, 400, [("t", "delete")]), signed(1, 30_023, 401, [("d", "x")])
        address = f"30023:{KEYS[1].public_key().to_hex()}:x"
        await publish(one, [gone, article])
        await refused(one, signed(2, 5, 402, [("e", gone.id().to_hex())]), "invalid:")
        assert await count(other, sdk.Filter().ids([gone.id(), article.id()])) == 2
        await publish(one, [signed(1, 5, 402, [("e", gone.id().to_hex()), ("a", address)])])
        same(ids(await fetch(other, sdk.Filter().ids([gone.id(), article.id()]))), [])
        await refused(one, gone, "blocked:")
        await refused(one, article, "blocked:")

    await check("the newest profile stands, and an article for each d", replaced)
    await check("what its author deletes is gone, and stays so", deleted)


async def syncing(one):
    """Events of kind 9 and 10 are for this alone; five in ten are at both, three here only, two there only."""
    events = [signed(i % 5, 9, i // 3, [("t", "sync")], str(i)) for i in range(300)]
    here = [event for i, event in enumerate(events) if i % 10 < 8]
    there = [event for i, event in enumerate(events) if i % 10 < 5 or i % 10 >= 8]
    only_here, only_there = ids(set_minus(here, there)), ids(set_minus(there, here))
    filter = sdk.Filter().kind(sdk.Kind(9))
    await publish(one, there)

    async def local():
        database = await sdk.NostrLmdb.open(tempfile.mkdtemp(dir=LOCAL))
        for event in here:
            assert (await database.save_event(event)).is_success()
        return database, await connect(database=database)

    async def sync(client, options, filter=filter):
        output = await client.sync(filter, opts=options.initial_timeout(DEADLINE))
        assert output.success == [URL], output.failed
        return output.report

    async def told():
        _, client = await local()
        report = await sync(client, sdk.SyncOptions().direction(sdk.SyncDirection.BOTH).dry_run())
        same_set(hexes(report.local), only_here)
        same_set(hexes(report.remote), only_there)
        assert await count(one, filter) == len(there)
        await client.shutdown()

    async def down():
        database, client = await local()
        report = await sync(client, sdk.SyncOptions().direction(sdk.SyncDirection.DOWN))
        same_set(hexes(report.received), only_there)
        assert (len(report.sent), await database.count(filter), await count(one, filter)) == (0, 300, len(there))
        await client.shutdown()

    async def narrowed():
        database, client = await local()
        narrow = sdk.Filter().kind(sdk.Kind(9)).author(KEYS[3].public_key())
        wanted = ids(event for event in set_minus(there, here) if narrow.match_event(event))
        report = await sync(client, sdk.SyncOptions().direction(sdk.SyncDirection.DOWN), narrow)
        same_set(hexes(report.received), wanted)
        assert 0 < len(wanted) < len(only_there)
        await client.shutdown()

    async def up():
        database, client = await local()
        report = await sync(client, sdk.SyncOptions().direction(sdk.SyncDirection.UP))
        same_set(hexes(report.sent), only_here)
        assert (len(report.received), sum(map(len, report.send_failures.values()))) == (0, 0)
        assert (await database.count(filter), await count(one, filter)) == (len(here), 300)
        await client.shutdown()

    async def both():
        more = [signed(i % 5, 10, i, [], str(i)) for i in range(200)]
        database, client = await local()
        await publish(one, more[:120])
        for event in more[80:]:
            await database.save_event(event)
        filter, options = sdk.Filter().kind(sdk.Kind(10)), sdk.SyncOptions().direction(sdk.SyncDirection.BOTH)
        report = await sync(client, options, filter)
        same_set(hexes(report.sent), ids(more[120:]))
        same_set(hexes(report.received), ids(more[:80]))
        assert (await database.count(filter), await count(one, filter)) == (200, 200)
        report = await sync(client, options, filter)
        assert (len(report.local), len(report.remote)) == (0, 0)
        await client.shutdown()

    await check("sync says what is missing on either side, and a dry run brings nothing", told)
    await check("sync down brings what is missing here", down)
    await check("a filter narrows what is synchronized", narrowed)
    await check("sync up brings what is missing there", up)
    await check("sync in both directions, and again, when nothing is missing", both)


def set_minus(some, others):
    known = set(ids(others))
    return [event for event in some if event.id().to_hex() not in known]


async def private(one):
    async def private_message():
        wrap = sdk.nip17_make_private_msg(KEYS[0], KEYS[1].public_key(), "for Bob")
        await publish(one, [wrap])
        filter = sdk.Filter().kind(sdk.Kind(1059))
        for author, sees in ((1, 1), (2, 0), (0, 0)):
            client = await connect(author)
            # It is refused at first, and asked again once the client is authenticated.
            found = await fetch(client, filter)
            assert (author, len(found)) == (author, sees)
            for event in found:
                gift = sdk.UnwrappedGift.from_gift_wrap(KEYS[1], event)
                assert (gift.rumor().content(), gift.sender()) == ("for Bob", KEYS[0].public_key())
            await client.shutdown()
        same(ids(await fetch(one, sdk.Filter().id(wrap.id()))), [])

    await check("a private message comes to whom it is for, and to nobody else", private_message)


async def main():
    # The library calls back from threads of its own.
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    one, other = await connect(), await connect()
    assert await count(one, sdk.Filter()) == 0, "the relay has to be empty"
    await fetching(one, other)
    await live(one, other)
    await changes(one, other)
    await syncing(one)
    await private(one)
    await one.shutdown()
    await other.shutdown()
    return summary()


with tempfile.TemporaryDirectory() as directory:
    LOCAL = directory
    status = asyncio.run(main())
# Threads of the library may call back still, into an interpreter that is being taken down.
os._exit(status)
