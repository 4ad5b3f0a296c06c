// The open alerts of all that the token may see, polled once for the whole page, and the announcement of new ones.

import { html, useEffect, useRef, useState } from "vendor/htm-preact.js";
import { pages } from "myaku/api.js";
import { Cell, useCell } from "myaku/cell.js";
import { usePoll } from "myaku/poll.js";
import { named, t } from "myaku/text.js";

// More open alerts than anybody reads.
const MOST = 400;

// {items, more} of the open alerts, or null before the first answer.
export const open = new Cell(null);

// The alerts that were not there before.
export function fresh(before, now) {
    const known = new Set(before.map((alert) => alert.id));
    return now.filter((alert) => !known.has(alert.id));
}

// The words that announce new alerts.
function words(alerts) {
    if (alerts.length > 3) return t("alerts.several", { count: alerts.length });
    return alerts
        .map(({ severity, subject, message }) => t("alerts.new", { severity: named("severity", severity), device: subject.deviceId, message }))
        .join(" ");
}

// Keeps `open` up to date, and says new alerts to those who listen instead of look.
export function Watch() {
    const { data } = usePoll("open alerts", pages("alerts", "v1/alerts", { state: "open", limit: 200 }, MOST));
    const before = useRef(null);
    const [said, say] = useState("");
    useEffect(() => {
        if (data === null) return;
        open.value = data;
        const added = before.current && fresh(before.current, data.items);
        before.current = data.items;
        if (added?.length) say(words(added));
    }, [data]);
    useEffect(() => () => (open.value = null), []);
    return html`<div class="hidden" aria-live="assertive" data-live="alerts">${said}</div>`;
}

// The open alerts that `keep` accepts; null before the first answer.
export function useOpen(keep) {
    const list = useCell(open);
    return list && list.items.filter(keep);
}
