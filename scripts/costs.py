#!/usr/bin/env python3
"""What a load costs a month, by the prices and assumptions written here: change them to yours.

    scripts/costs.py                                   the two loads of the README
    scripts/costs.py --mqtt 620 --http 140             messages a second

Prices are us-east-1's, in US dollars. Kinesis: the list of 2023. The others are the lists as we know them: check them.
"""

import argparse
import math

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
S3_PUT_THOUSAND = 0.005
S3_GB = 0.023
DYNAMODB_WRITES_MILLION = 0.625
CACHE_GB_HOUR = 0.084
CACHE_ECPU_MILLION = 0.0023
ALARM = 0.10
# Those of the template, and three that the autoscaler keeps.
ALARMS = 46
LOG_GB = 0.50

# Assumptions.
MESSAGE_BYTES = 1_000
# Base64 of the message, and who, where and when.
RECORD_BYTES = MESSAGE_BYTES * 4 / 3 + 250
READINGS_A_MESSAGE = 2
READING_BYTES = 230
UTILISATION = 0.8
SHARD_BYTES = 1_048_576
SHARD_RECORDS = 1_000
LAKE_RATIO = 4
# Lambda's event is base64 of the records; a batch is at most 6 MB.
BATCH_RECORD_BYTES = 6_000_000 / (4 / 3)
ARCHIVE_WINDOW_SECONDS = 60
MEMORY_GB = 0.5
# Of an invocation: the archiver's for a full batch, the others' for a second of one shard.
ARCHIVER_SECONDS = 0.6
OTHERS_SECONDS = 0.15
# Of a request, and what it carries.
REQUEST_SECONDS = 0.03
MESSAGES_A_REQUEST = 1
AGGREGATE_BYTES = 25_000
STATE_BYTES = 1_000
# `historySeconds` of the profiles: a row of history for each metric in so many seconds.
HISTORY_SECONDS = 60


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
    gb_seconds = MEMORY_GB * (
        objects * ARCHIVER_SECONDS + invocations * OTHERS_SECONDS + requests * REQUEST_SECONDS
    )
    # All readings of a device's metric that are in one batch share one write.
    latest = readings / max(1, window_seconds / interval_seconds)
    devices = messages * interval_seconds
    history = devices * READINGS_A_MESSAGE / HISTORY_SECONDS
    gigabytes = messages * RECORD_BYTES * SECONDS / 1e9
    items = {
        "Kinesis, shards": (ingest + out) * SHARD_HOUR * HOURS,
        "Kinesis, records": (messages + aggregates) * SECONDS / 1e6 * PUT_UNITS_MILLION,
        "Kinesis, a week's retention of `ingest`": ingest * SHARD_HOUR_RETENTION_OVER_24_H * HOURS,
        "IoT rule and action": mqtt * SECONDS / 1e6 * RULE_AND_ACTION_MILLION,
        "HTTP API": tiered(requests * SECONDS, HTTP_TIERS),
        "Lambda": gb_seconds * SECONDS * LAMBDA_GB_SECOND_ARM
        + (objects + invocations + requests) * SECONDS / 1e6 * LAMBDA_REQUESTS_MILLION,
        "S3, puts": objects * SECONDS / 1e3 * S3_PUT_THOUSAND,
        "S3, each month's lake, for a month": gigabytes / LAKE_RATIO * S3_GB,
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


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mqtt", type=float, help="messages a second by MQTT")
    arguments.add_argument("--http", type=float, default=0, help="messages a second by HTTP")
    arguments.add_argument("--interval", type=float, default=5, help="seconds between a device's messages")
    arguments.add_argument("--window", type=float, default=1, help="ResultsWindowSeconds")
    options = arguments.parse_args()
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
