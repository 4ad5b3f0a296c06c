#!/usr/bin/env python3
"""Checks that this project and AWS's own package read each other's aggregated records.

    kpl_interop.py PATH_OF_THE_KPL_EXAMPLE

"They" is aws-kinesis-agg, AWS's package; "we" is the example `kpl`. The exit code is 1 if a key, a hash key or a byte differs.
"""

import base64
import json
import random
import subprocess
import sys

from aws_kinesis_agg.aggregator import AggRecord
from aws_kinesis_agg.deaggregator import deaggregate_records

SEED = 20261120
CASES = 40
HASH_KEY_MAX = 2**128 - 1


def records(rng):
    """Returns some records: keys that repeat, keys beyond ASCII, data of any bytes, empty data."""
    keys = [rng.choice(["bed", "脈", "a" * 256, "gw/3"]) + str(n) for n in range(rng.randint(1, 8))]
    hash_keys = [str(rng.randint(0, HASH_KEY_MAX)) for _ in range(3)]
    return [
        (rng.choice(keys)[:256], rng.choice(hash_keys), rng.randbytes(rng.choice([0, 1, 127, 128, 300, 5_000])))
        for _ in range(rng.randint(1, 60))
    ]


def run(example, mode, text):
    return subprocess.run([example, mode], input=text, capture_output=True, text=True, check=True).stdout


def read_by_us(example, aggregate):
    lines = run(example, "decode", base64.b64encode(aggregate).decode() + "\n").splitlines()
    found = map(json.loads, lines)
    return [(line["key"], line["hashKey"], base64.b64decode(line["data"])) for line in found]


def written_by_us(example, wanted):
    lines = "".join(
        json.dumps({"key": key, "hashKey": hash_key, "data": base64.b64encode(data).decode()}) + "\n"
        for key, hash_key, data in wanted
    )
    return base64.b64decode(run(example, "encode", lines))


def written_by_them(wanted):
    aggregate = AggRecord()
    for key, hash_key, data in wanted:
        if not aggregate.add_user_record(key, data, hash_key):
            raise ValueError("the records do not fit into one aggregate; make fewer or smaller ones")
    return aggregate.get_contents()[2]


def read_by_them(aggregate):
    record = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "a",
        "sequenceNumber": "1",
        "approximateArrivalTimestamp": 1795218892.02,
        "data": base64.b64encode(aggregate).decode(),
    }
    out = []
    for index, found in enumerate(deaggregate_records([{"kinesis": record}])):
        kinesis = found["kinesis"]
        if kinesis["subSequenceNumber"] != index:
            raise ValueError(f"the record at {index} has the sub-sequence number {kinesis['subSequenceNumber']}")
        out.append((kinesis["partitionKey"], kinesis.get("explicitHashKey"), base64.b64decode(kinesis["data"])))
    return out


def main():
    example = sys.argv[1]
    rng = random.Random(SEED)
    differences = 0
    for case in range(CASES):
        wanted = records(rng)
        for what, found in (
            ("theirs, read by us", read_by_us(example, written_by_them(wanted))),
            ("ours, read by them", read_by_them(written_by_us(example, wanted))),
        ):
            if found != wanted:
                differences += 1
                print(f"DIFFERENT: case {case} of seed {SEED}, {what}", file=sys.stderr)
    print(f"{2 * CASES} aggregates compared, {differences} differ")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
