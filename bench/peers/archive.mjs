// The archiver's work in Node: `node archive.mjs plain|agg EVENT.json TIMES`.
//
// Prints JSON: the CPU seconds of each run, after some warm-up runs, and the SHA-256 of the lines. A run is from the bytes
// of an invocation to the bytes of an object, gzip 6. The start of Node is not included.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import aggregation from "aws-kinesis-agg";

const WARM_UPS = 3;

function line(sequence, sub, key, arrived, data) {
  const head = `{"seq":"${sequence}","sub":${sub},"key":${JSON.stringify(key)},"arrived":${Math.round(arrived * 1000)},`;
  const text = data.toString();
  try {
    JSON.parse(text);
    return `${head}"json":${text}}\n`;
  } catch {
    return `${head}"b64":"${data.toString("base64")}"}\n`;
  }
}

const packed = (lines) => gzipSync(lines.join(""), { level: 6 });

// The standard library alone, for events without aggregates.
function plain(body) {
  const lines = JSON.parse(body).Records.map(({ kinesis }) => {
    const data = Buffer.from(kinesis.data, "base64");
    return line(kinesis.sequenceNumber, 0, kinesis.partitionKey, kinesis.approximateArrivalTimestamp, data);
  });
  return packed(lines);
}

// With AWS's own package, checksums included.
function agg(body) {
  const lines = [];
  for (const { kinesis } of JSON.parse(body).Records) {
    aggregation.deaggregateSync(kinesis, true, (error, records) => {
      if (error) throw error;
      for (const record of records) {
        const { partitionKey, sequenceNumber, subSequenceNumber } = record;
        const data = Buffer.from(record.data, "base64");
        lines.push(line(sequenceNumber, subSequenceNumber ?? 0, partitionKey, kinesis.approximateArrivalTimestamp, data));
      }
    });
  }
  return packed(lines);
}

const [way, path, times] = process.argv.slice(2);
const body = readFileSync(path);
const work = { plain, agg }[way];
let archived;
for (let run = 0; run < WARM_UPS; run += 1) archived = work(body);
const seconds = [];
for (let run = 0; run < Number(times); run += 1) {
  const begun = process.cpuUsage();
  archived = work(body);
  const { user, system } = process.cpuUsage(begun);
  seconds.push((user + system) / 1e6);
}
const sha256 = createHash("sha256").update(gunzipSync(archived)).digest("hex");
console.log(JSON.stringify({ seconds, sha256 }));
