// Calls the API: a token, a time limit, and an ETag for each address, so that unchanged answers cost no body.

import { signOut, token } from "myaku/session.js";

// After this long without an answer, a call counts as failed, in milliseconds.
const TIMEOUT = 10_000;
// Answers that are remembered for their ETag.
const REMEMBERED = 200;

// What went wrong with a call. `status` is that of HTTP, 0 without an answer. `problems` lists {field, message}.
export class Failure extends Error {
    constructor(status, title, detail, problems) {
        super(title);
        this.status = status;
        this.detail = detail;
        this.problems = problems;
    }

    // Whether the same call may succeed later: the network, a time limit, or the server was at fault.
    get passes() {
        return this.status === 0 || this.status === 429 || this.status >= 500;
    }
}

const answers = new Map();
token.follow(() => answers.clear());

function remember(path, etag, body) {
    answers.delete(path);
    answers.set(path, { etag, body });
    if (answers.size > REMEMBERED) answers.delete(answers.keys().next().value);
}

async function failure(response) {
    const body = await response.json().catch(() => ({}));
    const listed = body.problems ?? (body.field ? [{ field: body.field, message: body.detail ?? body.title }] : []);
    return new Failure(response.status, body.title ?? response.statusText, body.detail ?? null, listed);
}

async function exchange(path, { method, body, signal }) {
    const sent = token.value;
    const headers = { authorization: `Bearer ${sent}`, accept: "application/json" };
    const known = method === "GET" ? answers.get(path) : undefined;
    if (known) headers["if-none-match"] = known.etag;
    if (body !== undefined) headers["content-type"] = "application/json";
    // The browser's own cache would hide the 304 and keep values on the disk.
    const response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
    if (response.status === 304 && known) return known.body;
    if (response.status === 401) {
        if (sent === token.value) signOut("expired");
        throw await failure(response);
    }
    if (!response.ok) throw await failure(response);
    const answer = await response.json();
    const etag = response.headers.get("etag");
    if (method === "GET" && etag && sent === token.value) remember(path, etag, answer);
    return answer;
}

// The answer to one call. An unchanged answer is the same object as before. Fails with a `Failure`, or with an AbortError when
// `signal` aborts.
export async function call(path, { method = "GET", body, signal } = {}) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), TIMEOUT);
    const cancel = () => limit.abort();
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) cancel();
    try {
        return await exchange(path, { method, body, signal: limit.signal });
    } catch (error) {
        if (signal?.aborted || error instanceof Failure) throw error;
        throw new Failure(0, limit.signal.aborted ? "timeout" : "network", null, []);
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", cancel);
    }
}

// The path with the parameters that have a value.
export function address(path, parameters = {}) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ""));
    return query.size ? `${path}?${query}` : path;
}

// A loader of whole lists: follows `next` up to `max` items. Returns {items, more}, the same object while no page has changed.
export function pages(name, path, parameters, max) {
    let before = { pages: [], list: null };
    return async (signal) => {
        const found = [];
        let count = 0;
        let cursor;
        do {
            const page = await call(address(path, { ...parameters, cursor }), { signal });
            found.push(page);
            count += page[name].length;
            // A cursor that does not advance would be followed for ever.
            cursor = page.next === cursor ? null : page.next;
        } while (cursor && count < max);
        const same = found.length === before.pages.length && found.every((page, index) => page === before.pages[index]);
        if (!same) before = { pages: found, list: { items: found.flatMap((page) => page[name]), more: Boolean(cursor) } };
        return before.list;
    };
}
