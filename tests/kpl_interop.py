"""Our aggregates against AWS's own library, both ways, on seeded random records.

    python3 -m venv target/kpl && target/kpl/bin/pip install -q aws-kinesis-agg==1.2.3
    target/kpl/bin/python tests/kpl_interop.py [--seed N] [--aggregates N]

It runs `cargo run --example kpl`, from the repository's root, and exits non-zero on the first difference. It also makes
the vector `shared/src/kpl/fixtures/official.json` again and compares.
"""

import argparse
import base64
import json
import pathlib
import random
import subprocess
import sys

from aws_kinesis_agg import aggregator, deaggregator, messages_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
VECTOR = ROOT / "shared/src/kpl/fixtures/official.json"
MAGIC_LEN, DIGEST_LEN = 4, 16


def b64(data):
    return base64.b64encode(data).decode()


def ours(mode, lines):
    """One answer of the example for each line."""
    run = subprocess.run(
        ["cargo", "run", "-q", "-p", "myaku", "--example", "kpl", "--", mode],
        input="".join(json.dumps(line) + "\n" for line in lines),
        stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def theirs(records):
    """The official library's aggregate of `records`."""
    made = aggregator.RecordAggregator()
    for key, hash_key, data in records:
        # A full aggregate would come back here: ours are far below its limit.
        assert made.add_user_record(key, base64.b64decode(data), hash_key) is None
    return made.clear_and_get().get_contents()[2]


def read_back(aggregate):
    """What the official library reads: through its de-aggregation, and from its own message type."""
    event = {"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "outer", "sequenceNumber": "1",
                         "approximateArrivalTimestamp": 0, "data": b64(aggregate)}}
    taken = deaggregator.deaggregate_records([event])
    message = messages_pb2.AggregatedRecord()
    message.ParseFromString(aggregate[MAGIC_LEN:-DIGEST_LEN])
    records = []
    for sub, (user, record) in enumerate(zip(taken, message.records, strict=True)):
        assert user["kinesis"]["aggregated"] and user["kinesis"]["subSequenceNumber"] == sub
        has_hash_key = record.HasField("explicit_hash_key_index")
        hash_key = message.explicit_hash_key_table[record.explicit_hash_key_index] if has_hash_key else None
        records.append([user["kinesis"]["partitionKey"], hash_key, user["kinesis"]["data"].decode()])
    return records


def random_records(rng):
    keys = ["bed-%d" % rng.randrange(10**6) for _ in range(rng.randrange(1, 200))] + ["脈", "k" * 256]
    hash_keys = [None, "0", str(2**128 - 1), str(rng.randrange(2**128))]
    return [[rng.choice(keys), rng.choice(hash_keys), b64(rng.randbytes(rng.choice([0, 1, 60, 127, 128, 900])))]
            for _ in range(rng.randrange(1, 400))]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--aggregates", type=int, default=50)
    options = options.parse_args()
    rng = random.Random(options.seed)

    vector = json.loads(VECTOR.read_text())
    assert b64(theirs(vector["records"])) == vector["aggregate"], f"{VECTOR} is not what the library makes"

    batches = [random_records(rng) for _ in range(options.aggregates)]
    for index, (records, made) in enumerate(zip(batches, ours("encode", batches), strict=True)):
        if read_back(base64.b64decode(made)) != records:
            sys.exit(f"seed {options.seed}: the official library reads our aggregate {index} differently")
    read = ours("decode", [b64(theirs(records)) for records in batches])
    for index, (records, answer) in enumerate(zip(batches, read, strict=True)):
        if answer != records:
            sys.exit(f"seed {options.seed}: we read the official library's aggregate {index} differently")
    print(f"{options.aggregates} aggregates of {sum(map(len, batches))} records read back, both ways")


if __name__ == "__main__":
    main()
