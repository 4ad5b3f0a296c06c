// The archiver's cold start in Node. It answers an empty batch, and creates clients at their first call, as ours does.

import http from "node:http";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const prefix = "/2018-06-01/runtime/invocation/";
const agent = new http.Agent({ keepAlive: true });

let clients;
const made = () => (clients ??= [new S3Client({}), new DynamoDBClient({})]);

function handle(event) {
    if (event.Records.length > 0) throw new Error(`only an empty batch is measured: ${made().length} clients`);
    return { batchItemFailures: [] };
}

function call(method, path, body) {
    return new Promise((resolve, reject) => {
        const request = http.request({ host, port, agent, method, path: prefix + path }, (response) => {
            const parts = [];
            response.on("data", (part) => parts.push(part));
            response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts) }));
        });
        request.on("error", reject);
        request.end(body);
    });
}

for (;;) {
    const { headers, body } = await call("GET", "next");
    await call("POST", `${headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(handle(JSON.parse(body))));
}
