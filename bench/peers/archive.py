#!/usr/bin/env python3
"""The archiver's work in Python: `archive.py plain|powertools EVENT.json TIMES`.

Prints JSON: the CPU seconds of each run, after a warm-up run, and the SHA-256 of the lines. A run is from the bytes of an
invocation to the bytes of an object, gzip 6. The start of the interpreter is not included.
"""

import base64
import gzip
import hashlib
import json
import sys
import time

from aws_kinesis_agg.deaggregator import iter_deaggregate_records


def line(sequence, sub, key, arrived, data):
    head = f'{{"seq":"{sequence}","sub":{sub},"key":{json.dumps(key)},"arrived":{round(arrived * 1000)},'
    try:
        text = data.decode()
        json.loads(text)
        return f'{head}"json":{text}}}\n'
    except ValueError:
        return f'{head}"b64":"{base64.b64encode(data).decode()}"}}\n'


def packed(lines):
    return gzip.compress("".join(lines).encode(), 6)


def plain(body):
    """The standard library, with AWS's own package for aggregates."""
    lines = []
    for record in iter_deaggregate_records(json.loads(body)["Records"]):
        kinesis = record["kinesis"]
        lines.append(
            line(
                kinesis["sequenceNumber"],
                kinesis.get("subSequenceNumber", 0),
                kinesis["partitionKey"],
                kinesis["approximateArrivalTimestamp"],
                base64.b64decode(kinesis["data"]),
            )
        )
    return packed(lines)


def unaggregated(body):
    """The standard library alone, for events without aggregates."""
    lines = []
    for record in json.loads(body)["Records"]:
        kinesis = record["kinesis"]
        data = base64.b64decode(kinesis["data"])
        arrived = kinesis["approximateArrivalTimestamp"]
        lines.append(line(kinesis["sequenceNumber"], 0, kinesis["partitionKey"], arrived, data))
    return packed(lines)


def powertools(body):
    """The batch processor of Powertools for AWS Lambda, which does not support aggregates."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    lines = []

    def take(record):
        kinesis = record.kinesis
        arrived = kinesis.approximate_arrival_timestamp
        lines.append(line(kinesis.sequence_number, 0, kinesis.partition_key, arrived, kinesis.data_as_bytes()))

    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    answer = process_partial_response(event=json.loads(body), record_handler=take, processor=processor)
    assert not answer["batchItemFailures"], answer
    return packed(lines)


def main():
    way, path, times = sys.argv[1:]
    with open(path, "rb") as file:
        body = file.read()
    work = {"plain": unaggregated, "agg": plain, "powertools": powertools}[way]
    archived = work(body)
    seconds = []
    for _ in range(int(times)):
        begun = time.process_time()
        archived = work(body)
        seconds.append(time.process_time() - begun)
    print(json.dumps({"seconds": seconds, "sha256": hashlib.sha256(gzip.decompress(archived)).hexdigest()}))


if __name__ == "__main__":
    main()
