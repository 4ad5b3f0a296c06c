// Whether the values on the page are up to date: what the polls report, as one fact for the whole page.

import { Cell } from "myaku/cell.js";

// {failing, since, seen}: whether any poll fails, the oldest time of success among those that fail (null if they never had one),
// and the newest time of any success. Times are in milliseconds since the epoch.
export const connection = new Cell({ failing: false, since: null, seen: null });

const polls = new Map();

// The state of the whole page, from the state of each poll.
export function overall(states) {
    const failing = states.filter((state) => state.failing);
    const times = states.map((state) => state.at).filter(Boolean);
    return {
        failing: failing.length > 0,
        since: failing.length ? failing.reduce((oldest, state) => Math.min(oldest, state.at ?? Infinity), Infinity) : null,
        seen: times.length ? Math.max(...times) : null,
    };
}

function update() {
    const now = overall([...polls.values()]);
    const { failing, since, seen } = connection.value;
    if (now.failing !== failing || now.since !== since || now.seen !== seen) connection.value = now;
}

export function report(poll, state) {
    polls.set(poll, state);
    update();
}

export function forget(poll) {
    polls.delete(poll);
    update();
}
