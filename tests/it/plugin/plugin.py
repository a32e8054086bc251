#!/usr/bin/env python3
"""A write-policy plugin as operators of strfry write them; what it does is told to it by the event's content.

It reads one JSON object a line and prints one a line. It also serves to misbehave, on request.
"""

import json
import os
import sys
import time

print("the plugin starts", file=sys.stderr, flush=True)
if os.environ.get("PLUGIN_NEVER_READS"):
    while True:
        time.sleep(3600)

counted = 0
for line in sys.stdin:
    request = json.loads(line)
    if request["type"] != "new":
        print("unexpected request type", file=sys.stderr, flush=True)
        continue
    event = request["event"]
    said = event["content"]
    answer = {"id": event["id"], "action": "accept"}
    counted += 1
    if said.startswith("reject"):
        answer = {"id": event["id"], "action": "reject", "msg": said.partition(" ")[2]}
    elif said == "shadow":
        answer = {"id": event["id"], "action": "shadowReject"}
    elif said == "crash":
        sys.exit(3)
    elif said == "hang":
        while True:
            time.sleep(3600)
    elif said == "forget":
        continue
    elif said == "garbage":
        print("no json\n{\n[]\n" + "x" * 100000)
    elif said == "unasked":
        print(json.dumps({"id": "00" * 32, "action": "reject", "msg": "who?"}))
    elif said == "source":
        seen = [request["sourceType"], request["sourceInfo"], str(request["receivedAt"])]
        answer = {"id": event["id"], "action": "reject", "msg": "blocked: " + " ".join(seen)}
    elif said == "count":
        answer = {"id": event["id"], "action": "reject", "msg": "blocked: %d" % counted}
    elif said == "halves":
        text = json.dumps(answer)
        sys.stdout.write(text[:20])
        sys.stdout.flush()
        print("half a line is out", file=sys.stderr, flush=True)
        print(text[20:], flush=True)
        continue
    print(json.dumps(answer), flush=True)
