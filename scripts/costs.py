#!/usr/bin/env python3
"""What a load costs a month, by the prices and assumptions written here: change them to yours.

    scripts/costs.py                                   the two loads of docs/costs.md
    scripts/costs.py --mqtt 620 --http 140             another load, in messages a second
    scripts/costs.py --per-million                     a million messages at the reference load, beside other designs
    scripts/costs.py --codecs                          the lake's codecs and levels: time to write against bytes to keep
    scripts/costs.py --page                            write docs/costs.md
    scripts/costs.py --check                           fail if docs/costs.md, or the README's sums, are out of date

Prices are us-east-1's, in US dollars. Kinesis: the list of 2023. The others are the lists as we know them: check them.
What a message costs the functions in CPU time is what `make bench` measured (bench/results), on the machine that it names.
"""

import argparse
import json
import math
import sys
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
# Intelligent-Tiering, after 30 and after 90 days without a read of the object.
S3_INFREQUENT_GB = 0.0125
S3_ARCHIVE_GB = 0.004
# Firehose, from a stream to S3: by the GB, each record rounded up.
FIREHOSE_GB = 0.029
FIREHOSE_RECORD_BYTES = 5 * 1_024
# Athena, by what it reads of the objects as they are.
ATHENA_SCANNED_TB = 5.00
DYNAMODB_WRITES_MILLION = 0.625
DYNAMODB_READS_MILLION = 0.125
CACHE_GB_HOUR = 0.084
CACHE_ECPU_MILLION = 0.0023
ALARM = 0.10
# Those of the template, and three that the autoscaler keeps.
ALARMS = 72
LOG_GB = 0.50

# Assumptions.
REFERENCE_RATE = 16_000
MESSAGE_BYTES = 1_000
# Base64 of the message, and who, where and when.
RECORD_BYTES = MESSAGE_BYTES * 4 / 3 + 250
READINGS_A_MESSAGE = 2
READING_BYTES = 230
# Of a reading in the lake: its line, and what zstd 3 leaves of it, as a run of `myaku traffic` with ReadingsLake made them.
READING_LINE_BYTES = 372
READING_LAKE_BYTES = 21
# What all consumers of a shard read together, and how many there are with ReadingsLake.
SHARD_OUT_BYTES = 2 * 1_048_576
CONSUMERS_WITH_READINGS_LAKE = 4
READINGS_LAKE_ALARMS = 4
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
# The slots of the keyspace: transform puts an aggregate for each slot that a batch has devices of.
SLOTS = 256
PUT_UNIT_BYTES = 25_000
STATE_BYTES = 1_000
# `historySeconds` of the profiles: a row of history for each device in so many seconds. A row has all metrics of its device, and
# fits into the kilobyte of one write.
HISTORY_SECONDS = 60
# Of the item of the function's progress: its key, and what is acknowledged of each shard. A write is rounded up to 1 KB, and a
# read to 4 KB.
PROGRESS_BYTES = 150
PROGRESS_SHARD_BYTES = 125
# Months in which an object is frequent, infrequent and rare in its first year.
FIRST_YEAR_MONTHS = (2, 2, 8)

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/results"
PAGE = ROOT / "docs/costs.md"

# Messages a second by MQTT and by HTTP: a hundred users, and the reference load.
LOADS = [(620, 140), (13_000, 3_000)]
DEVICE_INTERVAL_SECONDS = 5
RESULTS_WINDOW_SECONDS = 1
RESULTS_SECONDS = 30
DEFAULTS = (DEVICE_INTERVAL_SECONDS, RESULTS_WINDOW_SECONDS, RESULTS_SECONDS)


# moving-average, tumbling-window and anomaly-detector. The profiles of these loads ask only the first for anything, so that the
# others touch no state.
READERS_OF_READINGS = 3


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


def aggregates(messages, ingest):
    """Those that are put on `readings` in a second, and the bytes of each. A batch a second comes from each shard of `ingest`."""
    count = ingest * SLOTS * (1 - (1 - 1 / SLOTS) ** (messages / ingest))
    return count, messages * READINGS_A_MESSAGE * READING_BYTES / count


def tiered(count, tiers):
    """Dollars for so many, in tiers of (count, dollars a million)."""
    dollars = 0.0
    for size, price in tiers:
        dollars += min(count, size) / 1e6 * price
        count -= min(count, size)
    return dollars


def monthly(mqtt, http, interval_seconds, window_seconds, results_seconds):
    """Dollars a month by item, and the streams' shards. A device sends every `interval_seconds`."""
    messages = mqtt + http
    requests = http / MESSAGES_A_REQUEST
    readings = messages * READINGS_A_MESSAGE
    ingest = shards(messages, RECORD_BYTES)
    put, put_bytes = aggregates(messages, ingest)
    out = shards(put, put_bytes)
    objects = max(ingest / ARCHIVE_WINDOW_SECONDS, messages * RECORD_BYTES / BATCH_RECORD_BYTES)
    batches = out / window_seconds
    invocations = ingest + READERS_OF_READINGS * batches
    archiver, transform, average = cpu_seconds()
    lake_bytes, _ = default_codec()
    functions = (
        lambda_dollars(messages * archiver, objects, ARCHIVER_WAIT_SECONDS)
        + lambda_dollars(messages * transform + READERS_OF_READINGS * readings * average, invocations, OTHERS_WAIT_SECONDS)
        + lambda_dollars(0, requests, REQUEST_SECONDS)
    )
    devices = messages * interval_seconds
    # All readings of a device that are in one batch advance its state at once, and at most one row is due.
    advanced = devices / max(interval_seconds, window_seconds)
    latest = min(advanced, devices / max(1, results_seconds))
    history = devices / HISTORY_SECONDS
    progress_bytes = PROGRESS_BYTES + out * PROGRESS_SHARD_BYTES
    progress = (
        math.ceil(progress_bytes / 1_024) * DYNAMODB_WRITES_MILLION + math.ceil(progress_bytes / 4_096) * DYNAMODB_READS_MILLION
    )
    gigabytes = messages * RECORD_BYTES * SECONDS / 1e9
    lake = messages * lake_bytes * SECONDS / 1e9
    items = {
        "Kinesis, shards": (ingest + out) * SHARD_HOUR * HOURS,
        "Kinesis, records": (messages + put * math.ceil(put_bytes / PUT_UNIT_BYTES)) * SECONDS / 1e6 * PUT_UNITS_MILLION,
        "Kinesis, a week's retention of `ingest`": ingest * SHARD_HOUR_RETENTION_OVER_24_H * HOURS,
        "IoT rule and action": mqtt * SECONDS / 1e6 * RULE_AND_ACTION_MILLION,
        "HTTP API": tiered(requests * SECONDS, HTTP_TIERS),
        "Lambda": functions * SECONDS,
        "S3, puts": objects * SECONDS / 1e3 * S3_PUT_THOUSAND,
        "S3, each month's lake, for a month": lake * S3_GB,
        "DynamoDB, heads": objects * SECONDS / 1e6 * DYNAMODB_WRITES_MILLION,
        "DynamoDB, results": (latest + history) * SECONDS / 1e6 * DYNAMODB_WRITES_MILLION,
        "DynamoDB, progress": batches * SECONDS / 1e6 * progress,
        # A state is read and written once a device and batch, 1 ECPU for each kB, and so are the fences of each slot.
        "Cache": max(0.1, devices * STATE_BYTES / 1e9) * HOURS * CACHE_GB_HOUR
        + 2 * (advanced + SLOTS / window_seconds) * SECONDS / 1e6 * CACHE_ECPU_MILLION,
        # A line of metrics for each invocation, and one of the access log for each request.
        "Alarms and logs": ALARMS * ALARM + (objects + invocations + 1.5 * requests) * SECONDS * 700 / 1e9 * LOG_GB,
    }
    messaging = tiered(mqtt * SECONDS, MESSAGING_TIERS)
    on_demand = ON_DEMAND_STREAM_HOUR * HOURS + gigabytes * (ON_DEMAND_IN_GB + 2 * ON_DEMAND_OUT_GB)
    return items, {"ingest": ingest, "readings": out}, messaging, on_demand


def readings_lake(messages):
    """Dollars a month of the lake of readings, and the shards of `readings` that its consumers need without EnhancedFanOut."""
    readings = messages * READINGS_A_MESSAGE
    out = shards(*aggregates(messages, shards(messages, RECORD_BYTES)))
    read = math.ceil(readings * READING_BYTES / (SHARD_OUT_BYTES / CONSUMERS_WITH_READINGS_LAKE))
    objects = max(max(out, read) / ARCHIVE_WINDOW_SECONDS, readings * READING_BYTES / BATCH_RECORD_BYTES)
    line_bytes, _ = codecs()
    _, archiver = default_codec()
    # The archiver's time grows with the bytes of the lines.
    functions = lambda_dollars(readings * archiver * READING_LINE_BYTES / line_bytes, objects, ARCHIVER_WAIT_SECONDS)
    dollars = (
        functions * SECONDS
        + objects * SECONDS / 1e3 * S3_PUT_THOUSAND
        + objects * SECONDS / 1e6 * DYNAMODB_WRITES_MILLION
        + readings * READING_LAKE_BYTES * SECONDS / 1e9 * S3_GB
        + (max(out, read) - out) * SHARD_HOUR * HOURS
        + READINGS_LAKE_ALARMS * ALARM
        + objects * SECONDS * 700 / 1e9 * LOG_GB
    )
    return dollars, out, max(out, read)


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
    out = shards(*aggregates(rate, ingest))
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


def monthly_table(loads, interval_seconds, window_seconds, results_seconds):
    """A column for each load."""
    found = [monthly(mqtt, http, interval_seconds, window_seconds, results_seconds) for mqtt, http in loads]

    def row(title, cells):
        return f"| {title} | {' | '.join(cells)} |\n"

    text = row("US dollars a month", (f"{mqtt + http:,.0f} msg/s" for mqtt, http in loads)) + "|---|" + "---:|" * len(loads) + "\n"
    text += row("shards of `ingest`, of `readings`", (f"{shards['ingest']}, {shards['readings']}" for _, shards, _, _ in found))
    for item in found[0][0]:
        text += row(item, (f"{items[item]:,.0f}" for items, _, _, _ in found))
    text += row("**together**", (f"**{sum(items.values()):,.0f}**" for items, _, _, _ in found))
    text += row("saved by Basic Ingest: IoT messaging", (f"{saved:,.0f}" for _, _, saved, _ in found))
    return text + row("`ingest` on demand instead of shards and records", (f"{on_demand:,.0f}" for *_, on_demand in found))


def per_million_tables(rate):
    """This design, and others for the same."""
    tables = []
    for title, found in zip(("a million messages, this design", "the same, by other designs"), per_million(rate)):
        rows = "".join(f"| {item} | {dollars:.4f} |\n" for item, dollars in found.items())
        tables.append(f"| {title} | US dollars |\n|---|---:|\n{rows}")
    return "\n".join(tables)


def codec_costs():
    """Dollars of each codec and level for a million messages: writing, keeping for the first year, reading all of it once by Athena."""
    line_bytes, levels = codecs()
    frequent, infrequent, rare = FIRST_YEAR_MONTHS
    year_gb = frequent * S3_GB + infrequent * S3_INFREQUENT_GB + rare * S3_ARCHIVE_GB
    for codec in levels:
        gigabytes = 1e6 * line_bytes * codec["left"] / 1e9
        written = lambda_dollars(1e6 * codec["write_ns"] / 1e9, 0, 0)
        yield codec, (written, gigabytes * year_gb, gigabytes / 1e3 * ATHENA_SCANNED_TB)


def codec_table():
    text = "| codec, level | lines ÷ object | Lambda, writing | S3, a year | Athena, once | together |\n"
    text += "|---|---:|---:|---:|---:|---:|\n"
    for codec, parts in codec_costs():
        columns = " | ".join(f"{part:.4f}" for part in (*parts, sum(parts)))
        text += f"| {codec['name']} {codec['level']} | {1 / codec['left']:.2f} | {columns} |\n"
    return text


def page():
    """docs/costs.md. Each number of its text is computed here, as those of its tables are."""
    small, large = LOADS
    (small_items, small_shards, _, _), (large_items, large_shards, _, on_demand) = (
        monthly(*load, *DEFAULTS) for load in LOADS
    )
    (small_each, *_), (large_each, *_) = (monthly(*load, *DEFAULTS[:2], 0) for load in LOADS)
    small_put, large_put = (aggregates(sum(load), shards["ingest"])[0] for load, shards in zip(LOADS, (small_shards, large_shards)))
    results = "DynamoDB, results"
    rate = sum(large)
    mebibytes = rate * RECORD_BYTES / SHARD_BYTES
    ingest = large_shards["ingest"]
    by_records = math.ceil(rate / SHARD_RECORDS / UTILISATION)
    (small_lake, *_), (large_lake, large_out, large_read) = (readings_lake(sum(load)) for load in LOADS)
    line_bytes, _ = codecs()
    sums = {f"{codec['name']} {codec['level']}": sum(parts) for codec, parts in codec_costs()}
    middle = [sums[name] for name in ("gzip 4", "gzip 6", "gzip 9", "zstd 3", "zstd 6", "zstd 9")]
    return f"""\
<!-- scripts/costs.py --page writes this page. Change prices, assumptions or words there and run it again. -->

# What it costs

US dollars a month in us-east-1, as [`scripts/costs.py`](../scripts/costs.py) computes them, for two loads:

- **{sum(small):,} messages a second**, which is 100 users: 550 vital and 70 facility messages over MQTT, {small[1]} from apps;
- **{rate:,} messages a second**, the reference load: {large[0]:,} over MQTT, {large[1]:,} from apps.

The prices and assumptions are at the top of the script. Check them before you rely on them, and change them to yours:

- A message has {MESSAGE_BYTES / 1_000:.0f} KB, which makes a record of {RECORD_BYTES / 1_000:.1f} KB with base64 and its envelope.
- A message gives {READINGS_A_MESSAGE} readings. A device sends every {DEVICE_INTERVAL_SECONDS} seconds.
- Shards are filled to {UTILISATION:.0%}.
- A batch of messages a second comes from each shard of `ingest`. It becomes a record on `readings` for each of the {SLOTS} slots that
  it has devices of, and Kinesis bills each as {PUT_UNIT_BYTES // 1_000} KB at least: {small_put:,.0f} and {large_put:,.0f} records a second.
- An HTTP request carries {MESSAGES_A_REQUEST} message.
- Devices use Basic Ingest.
- A device's latest row is written every {RESULTS_SECONDS} seconds, and a row of history every {HISTORY_SECONDS}. Each is one write of 1 KB.
- Each shard of `readings` has a batch every {RESULTS_WINDOW_SECONDS} s, which costs a read and a write of the progress: one item for all shards.
- Kinesis prices are those of 2023; the others are as written there.

{monthly_table(LOADS, *DEFAULTS)}
`scripts/costs.py --mqtt 2000 --http 500` prints the same table for another load.

## What costs most, and what to do about it

- **Results.** `ResultsSeconds=0` writes each change of a result: {small_each[results]:,.0f} and {large_each[results]:,.0f} \
dollars instead of
  {small_items[results]:,.0f} and {large_items[results]:,.0f}, and {sum(small_each.values()):,.0f} and \
{sum(large_each.values()):,.0f} of the sums. A longer time than the default saves less and less, because rows of
  history remain. At the reference load, provisioned capacity is the other lever: DynamoDB's on-demand price is several
  times that of capacity that is used evenly.
- **HTTP.** A request costs the API, an invocation and lines of logs. An app that sends ten messages in one request saves
  nine tenths of that.
- **MQTT.** Basic Ingest (`$aws/rules/<rule>/…`) has no price of messaging: the last row but one is what it saves.

## A lake of readings

`ReadingsLake` archives readings as well: {small_lake:,.0f} and {large_lake:,.0f} dollars a month more, with each month's objects for a month.
A reading's line has {READING_LINE_BYTES} bytes; of the demo's readings, zstd leaves {READING_LAKE_BYTES}, and of yours perhaps more.

All consumers of a shard share {SHARD_OUT_BYTES // 1_048_576} MiB a second. The archiver is the fourth, so a shard may take \
{SHARD_OUT_BYTES // CONSUMERS_WITH_READINGS_LAKE // 1_024} KiB a second: at the
reference load that takes {large_read} shards of `readings` instead of {large_out}, which are in the sum, or `EnhancedFanOut`. `myaku archive audit` of that
stream reads besides.

## Asking the lake

`myaku query` costs a request for each thousand keys that it lists, and two for each object that it reads. Athena costs ${ATHENA_SCANNED_TB:.0f} for
each terabyte of compressed objects: a day of messages at the reference load is {rate * default_codec()[0] * 86_400 / 1e9:,.0f} GB, or \
${rate * default_codec()[0] * 86_400 / 1e12 * ATHENA_SCANNED_TB:.2f} each time it is
read. `AskGigabytesMax` stops a query that would read more. Partitions by projection are no objects in Glue.

## The shards, computed

{rate:,} records/s × {RECORD_BYTES:,.0f} bytes = {mebibytes:.1f} MiB/s; ÷ 1 MiB/s ÷ {UTILISATION:.0%} = {ingest} shards. \
Records alone would want {by_records}.
{ingest} × ${SHARD_HOUR} × {HOURS} h = ${ingest * SHARD_HOUR * HOURS:,.0f}, and {rate:,} × {SECONDS:,} s = \
{rate * SECONDS / 1e6:,.0f} million records × ${PUT_UNITS_MILLION} = ${rate * SECONDS / 1e6 * PUT_UNITS_MILLION:,.0f}.
On demand, the same stream would cost ${ON_DEMAND_IN_GB:.2f} for each GB in and ${ON_DEMAND_OUT_GB:.2f} for each GB out of \
each of two consumers: ${on_demand:,.0f}.

## A million messages

At the reference load, and what other designs cost for the same (`scripts/costs.py --per-million`):

{per_million_tables(REFERENCE_RATE)}
- Lambda's part is CPU time that `make bench` measured: a core of that machine for a core of Lambda ({CORE_GB * 1_000:,.0f} MB), at the
  price of arm64.
- To that comes waiting for other services: {ARCHIVER_WAIT_SECONDS} s for an object, {OTHERS_WAIT_SECONDS} s for an invocation of the other functions.
- No metric asks for windows of time or has alert rules: tumbling-window and anomaly-detector read all readings, at what they cost in the
  moving average, and store nothing. A function that is asked for something writes its progress and its fences like the moving average, and
  its states. A closed window also writes a row, like an interval of history, for all metrics of a device that have windows of that length.
- The transform is taken at messages of {MESSAGE_BYTES / 1_000:.0f} KB, the moving average at 1,000 devices in a batch with one reading each.
- Firehose counts a record as {FIREHOSE_RECORD_BYTES // 1_024} KB at least.

## The lake's codec

For the same million messages, which make lines of {line_bytes:,.0f} bytes: Lambda's time to write them, S3 for a year with its tiering,
and Athena reading all of it once (`scripts/costs.py --codecs`).

{codec_table()}
You pay once for writing, and that is hundredths of what keeping costs. gzip 4 to 9 and zstd 3 to 9 lie within
{(max(middle) - min(middle)) / min(middle):.0%} of one another, so time decides among them:

- **zstd 3**, the default, takes half of gzip 6's time, for objects that are one hundredth larger.
- **zstd 9** is cheapest by a twentieth, for four times the time and more memory.
- **zstd 19** never earns its time back.
- **gzip** suits a `CompressionLevel` of 6. Athena, Spark and `zstdcat` read zstd as it is; a Spark without its native library
  needs gzip.
"""


def check():
    """Whether the pages say what this script computes."""
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/costs.md is out of date: run scripts/costs.py --page and commit the page")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for load in LOADS:
        items, *_ = monthly(*load, *DEFAULTS)
        together = f"${sum(items.values()):,.0f}"
        if together not in readme:
            sys.exit(f"README.md does not say what {sum(load):,} messages a second cost: {together} a month")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mqtt", type=float, help="messages a second by MQTT")
    arguments.add_argument("--http", type=float, default=0, help="messages a second by HTTP")
    arguments.add_argument("--interval", type=float, default=DEVICE_INTERVAL_SECONDS, help="seconds between a device's messages")
    arguments.add_argument("--window", type=float, default=RESULTS_WINDOW_SECONDS, help="ResultsWindowSeconds")
    arguments.add_argument("--results", type=float, default=RESULTS_SECONDS, help="ResultsSeconds")
    arguments.add_argument("--per-million", action="store_true", help="dollars for a million messages at the reference load")
    arguments.add_argument("--codecs", action="store_true", help="the lake's codecs and levels")
    arguments.add_argument("--page", action="store_true", help="write docs/costs.md")
    arguments.add_argument("--check", action="store_true", help="fail if docs/costs.md, or the README's sums, are out of date")
    options = arguments.parse_args()
    if options.check:
        return check()
    if options.page:
        PAGE.write_text(page(), encoding="utf-8")
    elif options.per_million:
        print(per_million_tables(REFERENCE_RATE))
    elif options.codecs:
        print(codec_table(), end="")
    else:
        loads = [(options.mqtt, options.http)] if options.mqtt is not None else LOADS
        print(monthly_table(loads, options.interval, options.window, options.results), end="")


if __name__ == "__main__":
    main()
