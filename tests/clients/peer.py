"""A relay that others wrote, for `ratite sync` to come together with: python peer.py

It says `listening on ws://...`, as ours does, and ends when its standard input does.
"""

import asyncio
import sys

import nostr_sdk as sdk


async def main():
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    # Of its own it takes 60 events a minute.
    limit = sdk.RateLimit(max_reqs=1_000_000, notes_per_minute=1_000_000)
    for attempt in range(10):
        # It draws a port and takes it later, when others may have it.
        relay = sdk.LocalRelayBuilder().addr("127.0.0.1").rate_limit(limit).build()
        try:
            await relay.run()
            break
        except sdk.NostrSdkError:
            if attempt == 9:
                raise
    print("listening on", str(await relay.url()).rstrip("/"), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    relay.shutdown()


asyncio.run(main())
