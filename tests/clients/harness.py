"""What the Python client tests stand on: named checks that are counted, as in harness.mjs, and deadlines.

I1. Nothing waits for time to pass: every wait is for a message, and a deadline makes it fail.
"""

import asyncio
import traceback
from datetime import timedelta

# After this a message that did not come is a failure; far more than any needs.
DEADLINE = timedelta(seconds=30)

_passed = 0
_failures = []


async def check(name, run):
    """Runs one check; a failed one is reported and does not stop the others."""
    global _passed
    try:
        await within(run())
        _passed += 1
    except Exception:
        _failures.append(name)
        print("FAILED", name, traceback.format_exc(), flush=True)


def summary():
    """Prints the line that the caller of the script reads, and gives the exit status."""
    print(f"{_passed} passed, {len(_failures)} failed", flush=True)
    return 1 if _failures else 0


async def within(awaited):
    """What is awaited, or an error."""
    return await asyncio.wait_for(awaited, 2 * DEADLINE.total_seconds())


def same(found, wanted):
    """Asserts that two lists are the same, and says in short where they differ."""
    pairs = enumerate(zip(found, wanted))
    where = next((i for i, (a, b) in pairs if a != b), min(len(found), len(wanted)))
    assert found == wanted, f"{len(found)} instead of {len(wanted)}; number {where} differs"


def same_set(found, wanted):
    """Asserts that two lists are the same but for the order: what comes twice is found."""
    same(sorted(found), sorted(wanted))
