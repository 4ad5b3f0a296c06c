// The history of one metric: its chart, what it shows in words, and its values as a table.

import { html, useEffect, useMemo, useRef, useState } from "vendor/htm-preact.js";
import { address, pages } from "myaku/api.js";
import { Chart, Readout } from "myaku/chart.js";
import { age, full, metric as nameOf, number } from "myaku/format.js";
import { Outcome } from "myaku/outcome.js";
import { usePoll } from "myaku/poll.js";
import { columns, extend, gaps, marks as marksOf } from "myaku/series.js";
import { t } from "myaku/text.js";

// The API returns at most this many windows.
const POINTS = 2_000;
const NOTHING = { items: [] };
// Rows of the table: more would be no help.
const ROWS = 60;

// `metric` is {metric, unit, value?, at?}; `range` is {from, to, step}; `alerts` are marked; `limit` is drawn if it is a number.
export function History({ deviceId, metric, range, alerts, limit }) {
    const { from, to, step } = range;
    const path = `v1/devices/${encodeURIComponent(deviceId)}/history`;
    const asked = address(path, { metric: metric.metric, from, to, step });
    const history = usePoll(asked, pages("points", path, { metric: metric.metric, from, to, step }, POINTS));
    // While the next range loads, the last one stays, so that the chart does not flicker.
    const last = useRef({});
    const kind = `${deviceId} ${metric.metric} ${step}`;
    if (history.data) last.current = { kind, data: history.data };
    const data = history.data ?? (last.current.kind === kind ? last.current.data : null);
    const trail = useTrail(`${deviceId} ${metric.metric}`, metric, from);
    // The profile of the device asks for no windows of this metric, so that the readings of now are all there is.
    const kept = !history.error?.problems?.some(({ field }) => field === "metric");
    return html`${!kept && html`<p class="quiet">${t("chart.unkept")}</p>`}
    <${Outcome} of=${kept ? { data, error: history.error } : { data: NOTHING, error: null }}>
        ${({ items }) => html`<${Drawn} points=${items} trail=${trail} metric=${metric} range=${range} alerts=${alerts} limit=${limit} />`}
    <//>`;
}

// The readings that arrived since the chart was opened.
function useTrail(key, metric, from) {
    const kept = useRef({ key, trail: [] });
    if (kept.current.key !== key) kept.current = { key, trail: [] };
    kept.current.trail = extend(kept.current.trail, metric.at ? metric : null, from);
    return kept.current.trail;
}

function Drawn({ points, trail, metric, range, alerts, limit }) {
    const [pointed, point] = useState(null);
    const { from, to } = range;
    const data = useMemo(() => columns(points, trail), [points, trail]);
    const marks = useMemo(() => marksOf(alerts, from, to), [alerts, from, to]);
    useEffect(() => point(null), [points]);
    if (data[0].length === 0) return html`<p class="quiet">${t("chart.empty")}</p>`;
    return html`<div class="history">
        <${Chart} columns=${data} from=${from} to=${to} marks=${marks} limit=${limit} pointed=${point} about=${about(metric, points)} />
        <${Readout} columns=${data} index=${pointed} metric=${metric} />
        ${
            points.length > 0 &&
            html`<details>
                <summary>${t("chart.table")}</summary>
                <${Table} points=${points} metric=${metric} />
            </details>`
        }
    </div>`;
}

// The server may have merged windows, so their length is read from them.
function about(metric, points) {
    const step = points.length ? points[0].to - points[0].from : 0;
    const means = points.map((point) => point.mean);
    const [min, max] = means.length ? [Math.min(...means), Math.max(...means)].map(number) : ["–", "–"];
    return t("chart.about", { metric: nameOf(metric.metric), count: points.length, step: age(step), min, max, gaps: gaps(points) });
}

function Table({ points, metric }) {
    const newest = points.slice(-ROWS).reverse();
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${`${nameOf(metric.metric)}: ${t("chart.table")}`}><table>
        <caption>${t("chart.recent", { count: newest.length, all: points.length })}</caption>
        <thead><tr>
            <th scope="col">${t("chart.time")}</th><th scope="col">${t("chart.mean")}</th><th scope="col">${t("chart.min")}</th>
            <th scope="col">${t("chart.max")}</th><th scope="col">p95</th><th scope="col">${t("chart.count")}</th>
        </tr></thead>
        <tbody>${newest.map(
            (point) => html`<tr key=${point.from}>
                <th scope="row">${full(point.from)}${point.partial && html` <span class="partial">${t("value.partial")}</span>`}</th>
                <td>${number(point.mean)}</td><td>${number(point.min)}</td><td>${number(point.max)}</td>
                <td>${point.p95 === null || point.p95 === undefined ? "–" : number(point.p95)}</td><td>${point.count}</td>
            </tr>`,
        )}</tbody>
    </table></div>`;
}
