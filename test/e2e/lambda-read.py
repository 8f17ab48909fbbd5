"""Prints what AWS's library for Python finds in the event that a Lambda function would get; its JSON is the argument."""

import json
import sys

from aws_lambda_powertools.utilities.data_classes import KafkaEvent

event = KafkaEvent(json.loads(sys.argv[1]))
found = [
    {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else record.decoded_key.decode(),
        "value": record.json_value,
        "headers": {name: value.decode() for name, value in record.decoded_headers.items()},
    }
    for record in event.records
]
print(json.dumps({"source": event.event_source, "brokers": event.decoded_bootstrap_servers, "records": found}))
