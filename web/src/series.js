// The windows of a history as the series of a chart. Pure.

const MINUTE = 60;
const DAY = 86_400;

// What a chart shows: its length, and the windows that are asked for, in seconds.
export const SPANS = {
    hour: { length: 3_600, step: MINUTE },
    day: { length: DAY, step: 5 * MINUTE },
    week: { length: 7 * DAY, step: 3_600 },
    month: { length: 30 * DAY, step: 6 * 3_600 },
    year: { length: 365 * DAY, step: DAY },
};

// What to ask for at `now`. Both ends are multiples of the step, so the address stays the same for a while, and its ETag counts.
// Times are in milliseconds, `step` in seconds.
export function range(span, now) {
    const { length, step } = SPANS[span];
    const to = Math.ceil(now / (step * 1000)) * step * 1000;
    return { from: to - length * 1000, to, step };
}

// The windows around an alert: half its length before and after, at least half an hour. One that is not over has nothing after it.
export function around(since, clearedAt, now) {
    const end = clearedAt ?? now;
    const margin = Math.max(1_800_000, (end - since) / 2);
    const after = clearedAt === null ? 0 : margin;
    const wanted = (end - since + margin + after) / 1000 / 240;
    const step = Math.max(MINUTE, Math.ceil(wanted / MINUTE) * MINUTE);
    const unit = step * 1000;
    return { from: Math.floor((since - margin) / unit) * unit, to: Math.ceil((end + after) / unit) * unit, step };
}

// The columns of a chart: times in seconds, then mean, min, max, p95 and the readings as they arrive. Between two windows that do
// not touch stands a null, so that the chart draws no line across.
export function columns(points, trail = []) {
    const rows = [];
    let before = null;
    for (const point of points) {
        if (before !== null && point.from > before.to) rows.push([(before.to + point.from) / 2, null, null, null, null, null]);
        rows.push([(point.from + point.to) / 2, point.mean, point.min, point.max, point.p95 ?? null, null]);
        before = point;
    }
    const end = rows.length ? rows.at(-1)[0] : -Infinity;
    for (const { at, value } of trail) if (at > end) rows.push([at, null, null, null, null, value]);
    return [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => (column === 0 ? row[0] / 1000 : row[column])));
}

// How many stretches without windows lie between windows.
export function gaps(points) {
    return points.filter((point, index) => index > 0 && point.from > points[index - 1].to).length;
}

// The readings that arrived while the page was open, oldest first: `trail` and one more if it is newer, without those before `from`.
export function extend(trail, reading, from) {
    const last = trail.at(-1);
    const newer = reading && typeof reading.value === "number" && (!last || reading.at > last.at);
    const kept = trail.length && trail[0].at < from ? trail.filter(({ at }) => at >= from) : trail;
    return newer ? [...kept, { at: reading.at, value: reading.value }] : kept;
}

// The alerts that overlap a time, as stretches {from, to, severity, open} within it, in milliseconds.
export function marks(alerts, from, to) {
    return alerts
        .map((alert) => ({ from: alert.since, to: alert.clearedAt ?? to, severity: alert.severity, open: alert.clearedAt === null }))
        .filter((mark) => mark.to >= from && mark.from <= to)
        .map((mark) => ({ ...mark, from: Math.max(mark.from, from), to: Math.min(mark.to, to) }));
}
