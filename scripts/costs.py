#!/usr/bin/env python3
"""What a load costs a month, by the prices and assumptions written here: change them to yours.

    scripts/costs.py                                   the two loads of the README
    scripts/costs.py --mqtt 620 --http 140             messages a second
    scripts/costs.py --per-million                     a million messages at the reference load, beside other designs
    scripts/costs.py --codecs                          the lake's codecs and levels: time to write against bytes to keep

Prices are us-east-1's, in US dollars. Kinesis: the list of 2023. The others are the lists as we know them: check them.
What a message costs the functions in CPU time is what `make bench` measured (bench/results), on the machine that it names.
"""

import argparse
import json
import math
from pathlib import Path

HOURS = 730
SECONDS = HOURS * 3600

# Kinesis, provisioned.
SHARD_HOUR = 0.015
SHARD_HOUR_RETENTION_OVER_24_H = 0.020
PUT_UNITS_MILLION = 0.014
# Kinesis, on demand, for comparison.
ON_DEMAND_STREAM_HOUR = 0.04
ON_DEMAND_IN_GB = 0.08
ON_DEMAND_OUT_GB = 0.04
# IoT Core: a rule and its action; messaging in tiers of (messages, dollars a million), which Basic Ingest saves.
RULE_AND_ACTION_MILLION = 0.30
MESSAGING_TIERS = [(1e9, 1.00), (4e9, 0.80), (math.inf, 0.70)]
# An HTTP API, in tiers of (requests, dollars a million).
HTTP_TIERS = [(3e8, 1.00), (math.inf, 0.90)]
LAMBDA_GB_SECOND_ARM = 0.0000133334
LAMBDA_REQUESTS_MILLION = 0.20
# So much memory comes with one core; less memory with as much less of it. So work costs the same, whatever the memory.
CORE_GB = 1.769
S3_PUT_THOUSAND = 0.005
S3_GB = 0.023
# Intelligent-Tiering, after 30 and after 90 days in which nobody read an object.
S3_INFREQUENT_GB = 0.0125
S3_ARCHIVE_GB = 0.004
# Firehose, from a stream to S3: by the GB, each record rounded up.
FIREHOSE_GB = 0.029
FIREHOSE_RECORD_BYTES = 5 * 1_024
# Athena, by what it reads of the objects as they are.
ATHENA_SCANNED_TB = 5.00
DYNAMODB_WRITES_MILLION = 0.625
CACHE_GB_HOUR = 0.084
CACHE_ECPU_MILLION = 0.0023
ALARM = 0.10
# Those of the template, and three that the autoscaler keeps.
ALARMS = 46
LOG_GB = 0.50

# Assumptions.
REFERENCE_RATE = 16_000
MESSAGE_BYTES = 1_000
# Base64 of the message, and who, where and when.
RECORD_BYTES = MESSAGE_BYTES * 4 / 3 + 250
READINGS_A_MESSAGE = 2
READING_BYTES = 230
UTILISATION = 0.8
SHARD_BYTES = 1_048_576
SHARD_RECORDS = 1_000
# Lambda's event is base64 of the records; a batch is at most 6 MB.
BATCH_RECORD_BYTES = 6_000_000 / (4 / 3)
ARCHIVE_WINDOW_SECONDS = 60
MEMORY_GB = 0.5
# An invocation waits so long for the services that it calls: DynamoDB and S3; Redis and Kinesis, or Redis and DynamoDB.
ARCHIVER_WAIT_SECONDS = 0.15
OTHERS_WAIT_SECONDS = 0.05
# Of a request, and what it carries.
REQUEST_SECONDS = 0.03
MESSAGES_A_REQUEST = 1
AGGREGATE_BYTES = 25_000
STATE_BYTES = 1_000
# `historySeconds` of the profiles: a row of history for each metric in so many seconds.
HISTORY_SECONDS = 60
# Months in which an object is frequent, infrequent and rare in its first year.
FIRST_YEAR_MONTHS = (2, 2, 8)

RESULTS = Path(__file__).parent.parent / "bench/results"


def kept(part):
    return json.loads((RESULTS / f"{part}.json").read_text())["found"]


def codecs():
    """Bytes of a line, and each codec and level of the lake: what it leaves of them, what it costs to write and to read."""
    found = kept("codecs")
    return found["line_bytes"], found["levels"]


def default_codec():
    """Bytes of a record in the lake, and seconds of CPU time for writing it, as the archiver is deployed."""
    line_bytes, levels = codecs()
    codec = next(codec for codec in levels if codec["is_default"])
    return line_bytes * codec["left"], codec["write_ns"] / 1e9


def cpu_seconds():
    """CPU time of a message in the archiver and in the transform, and of a reading in the moving average."""

    def each(function, over, size):
        curve = next(curve for curve in kept("growth") if (curve["function"], curve["size"]) == (function, over))
        point = next(point for point in curve["points"] if point["size"] == size)
        return point["total_ns"]["median"] / point["count"] / 1e9

    _, archiver = default_codec()
    transform = each("transform", "bytes of a payload", MESSAGE_BYTES)
    return archiver, transform, each("moving average", "devices in a batch", 1_000)


def lambda_dollars(cpu, invocations, wait):
    """Of so many seconds of CPU time in so many invocations, which wait besides."""
    return (cpu * CORE_GB + invocations * wait * MEMORY_GB) * LAMBDA_GB_SECOND_ARM + (
        invocations / 1e6 * LAMBDA_REQUESTS_MILLION
    )


def shards(records, record_bytes):
    needed = max(records / SHARD_RECORDS, records * record_bytes / SHARD_BYTES) / UTILISATION
    return max(1, math.ceil(needed))


def tiered(count, tiers):
    """Dollars for so many, in tiers of (count, dollars a million)."""
    dollars = 0.0
    for size, price in tiers:
        dollars += min(count, size) / 1e6 * price
        count -= min(count, size)
    return dollars


def monthly(mqtt, http, interval_seconds, window_seconds):
    """Dollars a month by item, and the streams' shards. A device sends every `interval_seconds`."""
    messages = mqtt + http
    requests = http / MESSAGES_A_REQUEST
    readings = messages * READINGS_A_MESSAGE
    ingest = shards(messages, RECORD_BYTES)
    aggregates = readings * READING_BYTES / AGGREGATE_BYTES
    out = shards(aggregates, AGGREGATE_BYTES)
    objects = max(ingest / ARCHIVE_WINDOW_SECONDS, messages * RECORD_BYTES / BATCH_RECORD_BYTES)
    invocations = ingest + out / window_seconds
    archiver, transform, average = cpu_seconds()
    lake_bytes, _ = default_codec()
    functions = (
        lambda_dollars(messages * archiver, objects, ARCHIVER_WAIT_SECONDS)
        + lambda_dollars(messages * transform + readings * average, invocations, OTHERS_WAIT_SECONDS)
        + lambda_dollars(0, requests, REQUEST_SECONDS)
    )
    # All readings of a device's metric that are in one batch share one write.
    latest = readings / max(1, window_seconds / interval_seconds)
    devices = messages * interval_seconds
    history = devices * READINGS_A_MESSAGE / HISTORY_SECONDS
    gigabytes = messages * RECORD_BYTES * SECONDS / 1e9
    lake = messages * lake_bytes * SECONDS / 1e9
    items = {
        "Kinesis, shards": (ingest + out) * SHARD_HOUR * HOURS,
        "Kinesis, records": (messages + aggregates) * SECONDS / 1e6 * PUT_UNITS_MILLION,
        "Kinesis, a week's retention of `ingest`": ingest * SHARD_HOUR_RETENTION_OVER_24_H * HOURS,
        "IoT rule and action": mqtt * SECONDS / 1e6 * RULE_AND_ACTION_MILLION,
        "HTTP API": tiered(requests * SECONDS, HTTP_TIERS),
        "Lambda": functions * SECONDS,
        "S3, puts": objects * SECONDS / 1e3 * S3_PUT_THOUSAND,
        "S3, each month's lake, for a month": lake * S3_GB,
        "DynamoDB, heads": objects * SECONDS / 1e6 * DYNAMODB_WRITES_MILLION,
        "DynamoDB, results": (latest + history) * SECONDS / 1e6 * DYNAMODB_WRITES_MILLION,
        # A state is read and written once a device and batch, 1 ECPU for each kB.
        "Cache": max(0.1, devices * STATE_BYTES / 1e9) * HOURS * CACHE_GB_HOUR
        + 2 * latest / READINGS_A_MESSAGE * SECONDS / 1e6 * CACHE_ECPU_MILLION,
        # A line of metrics for each invocation, and one of the access log for each request.
        "Alarms and logs": ALARMS * ALARM + (objects + invocations + 1.5 * requests) * SECONDS * 700 / 1e9 * LOG_GB,
    }
    messaging = tiered(mqtt * SECONDS, MESSAGING_TIERS)
    on_demand = ON_DEMAND_STREAM_HOUR * HOURS + gigabytes * (ON_DEMAND_IN_GB + 2 * ON_DEMAND_OUT_GB)
    return items, {"ingest": ingest, "readings": out}, messaging, on_demand


def per_million(rate):
    """Dollars for a million messages at `rate` a second: this design's by item, and what others cost for the same."""
    archiver, transform, average = cpu_seconds()
    lake_bytes, _ = default_codec()
    million = 1e6
    hours = million / rate / 3_600
    ingest = shards(rate, RECORD_BYTES)
    objects = max(million / rate * ingest / ARCHIVE_WINDOW_SECONDS, million * RECORD_BYTES / BATCH_RECORD_BYTES)
    seconds = million / rate
    readings = million * READINGS_A_MESSAGE
    out = shards(readings / seconds * READING_BYTES / AGGREGATE_BYTES, AGGREGATE_BYTES)
    gigabytes = million * RECORD_BYTES / 1e9
    shard_hours = ingest * hours
    functions = {
        "Lambda, archiver": lambda_dollars(million * archiver, objects, ARCHIVER_WAIT_SECONDS),
        "Lambda, transform": lambda_dollars(million * transform, ingest * seconds, OTHERS_WAIT_SECONDS),
        "Lambda, moving average": lambda_dollars(readings * average, out * seconds, OTHERS_WAIT_SECONDS),
    }
    items = functions | {
        "Kinesis `ingest`, shards and records": shard_hours * SHARD_HOUR + PUT_UNITS_MILLION,
        "Kinesis `ingest`, a week's retention": shard_hours * SHARD_HOUR_RETENTION_OVER_24_H,
        "S3, puts": objects / 1e3 * S3_PUT_THOUSAND,
        "S3, the lake for a month": million * lake_bytes / 1e9 * S3_GB,
    }
    alone = lambda_dollars(million * archiver, million, ARCHIVER_WAIT_SECONDS) + million / 1e3 * S3_PUT_THOUSAND
    ours = items["Lambda, archiver"] + items["S3, puts"]
    others = {
        "the archiver and its puts": ours,
        "Firehose in its place": million * max(RECORD_BYTES, FIREHOSE_RECORD_BYTES) / 1e9 * FIREHOSE_GB,
        "an invocation and an object for each record": alone,
        "`ingest`: shards, records, a week's retention": items["Kinesis `ingest`, shards and records"]
        + items["Kinesis `ingest`, a week's retention"],
        "`ingest` on demand, two consumers": ON_DEMAND_STREAM_HOUR * hours + gigabytes * (ON_DEMAND_IN_GB + 2 * ON_DEMAND_OUT_GB),
    }
    return items, others


def print_per_million(rate):
    for title, found in zip(("a million messages, this design", "the same, by other designs"), per_million(rate)):
        print(f"| {title} | US dollars |\n|---|---:|")
        for item, dollars in found.items():
            print(f"| {item} | {dollars:.4f} |")
        print()


def print_codecs():
    """For a million messages: writing, keeping for the first year, and reading all of it once by Athena."""
    line_bytes, levels = codecs()
    frequent, infrequent, rare = FIRST_YEAR_MONTHS
    year_gb = frequent * S3_GB + infrequent * S3_INFREQUENT_GB + rare * S3_ARCHIVE_GB
    print("| codec, level | lines ÷ object | Lambda, writing | S3, a year | Athena, once | together |")
    print("|---|---:|---:|---:|---:|---:|")
    for codec in levels:
        left = codec["left"]
        gigabytes = 1e6 * line_bytes * left / 1e9
        parts = (lambda_dollars(1e6 * codec["write_ns"] / 1e9, 0, 0), gigabytes * year_gb, gigabytes / 1e3 * ATHENA_SCANNED_TB)
        columns = " | ".join(f"{part:.4f}" for part in (*parts, sum(parts)))
        print(f"| {codec['name']} {codec['level']} | {1 / left:.2f} | {columns} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mqtt", type=float, help="messages a second by MQTT")
    arguments.add_argument("--http", type=float, default=0, help="messages a second by HTTP")
    arguments.add_argument("--interval", type=float, default=5, help="seconds between a device's messages")
    arguments.add_argument("--window", type=float, default=1, help="ResultsWindowSeconds")
    arguments.add_argument("--per-million", action="store_true", help="dollars for a million messages at the reference load")
    arguments.add_argument("--codecs", action="store_true", help="the lake's codecs and levels")
    options = arguments.parse_args()
    if options.per_million:
        return print_per_million(REFERENCE_RATE)
    if options.codecs:
        return print_codecs()
    loads = [(options.mqtt, options.http)] if options.mqtt is not None else [(620, 140), (13_000, 3_000)]
    found = [monthly(mqtt, http, options.interval, options.window) for mqtt, http in loads]
    print("| US dollars a month | " + " | ".join(f"{mqtt + http:,.0f} msg/s" for mqtt, http in loads) + " |")
    print("|---|" + "---:|" * len(loads))
    print("| shards of `ingest`, of `readings` | " + " | ".join(f"{s['ingest']}, {s['readings']}" for _, s, _, _ in found) + " |")
    for item in found[0][0]:
        print(f"| {item} | " + " | ".join(f"{items[item]:,.0f}" for items, _, _, _ in found) + " |")
    print("| **together** | " + " | ".join(f"**{sum(items.values()):,.0f}**" for items, _, _, _ in found) + " |")
    print("| saved by Basic Ingest: IoT messaging | " + " | ".join(f"{saved:,.0f}" for _, _, saved, _ in found) + " |")
    print("| `ingest` on demand instead of shards and records | " + " | ".join(f"{od:,.0f}" for *_, od in found) + " |")


if __name__ == "__main__":
    main()
