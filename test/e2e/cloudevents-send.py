"""Sends one event in binary mode, one structured, and a batch of two, with the cloudevents SDK; prints the statuses."""
import json
import sys
from urllib.request import Request, urlopen

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

url = sys.argv[1]


def event(name):
    attributes = {"id": name, "source": "/sdk/python", "type": "sdk.test", "datacontenttype": "application/json"}
    return CloudEvent(attributes=attributes, data={"n": 9007199254740993})


def send(headers, body):
    with urlopen(Request(url, data=body, headers=headers, method="POST")) as reply:
        return str(reply.status)


binary = to_binary_event(event("py-binary"))
structured = to_structured_event(event("py-structured"))
batch = [json.loads(to_structured_event(event(name)).body) for name in ("py-batch-1", "py-batch-2")]
print(
    send(binary.headers, binary.body),
    send(structured.headers, structured.body),
    send({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch).encode()),
)
