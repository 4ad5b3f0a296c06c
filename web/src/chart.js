// A line chart of one metric: the mean, the band from the lowest to the highest value, the 95th percentile, the readings as they
// arrive, and the alerts. Drawn by uPlot on a canvas; what it shows stands beside it in words and as a table.

import { html, useEffect, useRef } from "vendor/htm-preact.js";
import uPlot from "vendor/uplot.js";
import { number, offset, time, unit } from "myaku/format.js";
import { language, t } from "myaku/text.js";
import { useCell } from "myaku/cell.js";
import { shown } from "myaku/theme.js";

const HEIGHT = 220;
const NAMES = ["line", "band", "p95", "trail", "grid", "ink", "critical", "warning", "info"];

// The colours of the style sheet, read once for each drawing: a canvas keeps what it was drawn with.
function palette() {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--chart-${name}`).trim()]));
}

// How a time is written below the axis, by the distance of two ticks in seconds. Midnight shows which day begins.
function tick(seconds, distance) {
    const at = new Date(seconds * 1000);
    const isMidnight = at.getHours() === 0 && at.getMinutes() === 0;
    const style = distance >= 28 * 86_400 ? "month" : distance >= 86_400 || isMidnight ? "day" : "minute";
    return time(at.getTime(), style);
}

// Draws the alerts behind the lines: a tinted stretch, and a bar at its top that does not rely on the tint.
function drawMarks(plot, marks, colours) {
    const { ctx, bbox } = plot;
    for (const { from, to, severity } of marks) {
        const left = Math.max(bbox.left, plot.valToPos(from / 1000, "x", true));
        const right = Math.min(bbox.left + bbox.width, plot.valToPos(to / 1000, "x", true));
        const wide = Math.max(right - left, 3 * devicePixelRatio);
        ctx.save();
        ctx.fillStyle = colours[severity] ?? colours.warning;
        ctx.globalAlpha = 0.1;
        ctx.fillRect(left, bbox.top, wide, bbox.height);
        ctx.globalAlpha = 1;
        ctx.fillRect(left, bbox.top, wide, 4 * devicePixelRatio);
        ctx.restore();
    }
}

function drawLimit(plot, limit, colours) {
    const { ctx, bbox } = plot;
    const y = plot.valToPos(limit, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) return;
    ctx.save();
    ctx.strokeStyle = colours.ink;
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = colours.ink;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    ctx.fillText(`${t("chart.limit")} ${number(limit)}`, bbox.left + 6 * devicePixelRatio, y - 2 * devicePixelRatio);
    ctx.restore();
}

function options(width, { from, to, limit, pointed }, live) {
    const colours = palette();
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: colours.ink, font, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
    const line = (stroke, width, extra = {}) => ({ stroke, width, points: { show: false }, ...extra });
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    return {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
            x: { time: true, range: () => [from / 1000, to / 1000] },
            y: { range: (_, low, high) => spread(low, high, limit) },
        },
        axes: [
            { ...axis, space: 70, size: 30, values: (_, splits, __, ___, distance) => splits.map((split) => tick(split, distance)) },
            { ...axis, size: 48, values: (_, splits, __, ___, distance) => splits.map((split) => number(split, decimals(distance))) },
        ],
        series: [
            {},
            line(colours.line, 2),
            edge,
            edge,
            line(colours.p95, 1.25, { dash: [5, 4] }),
            line(colours.trail, 1.5, { points: { show: true, size: 4, fill: colours.trail } }),
        ],
        bands: [{ series: [3, 2], fill: colours.band }],
        hooks: {
            drawClear: [(plot) => drawMarks(plot, live.current, colours)],
            draw: [(plot) => limit !== undefined && limit !== null && drawLimit(plot, limit, colours)],
            setCursor: [(plot) => pointed(plot.cursor.idx ?? null)],
        },
    };
}

// The decimals that tell ticks of this distance apart.
function decimals(distance) {
    return Math.max(0, -Math.floor(Math.log10(distance)));
}

// The range of the values, with a little air, and with the limit in it. A range below 4 % of the value would make a mountain of noise.
function spread(low, high, limit) {
    const known = [low, high, limit].filter((value) => Number.isFinite(value));
    if (known.length === 0) return [0, 1];
    const [least, most] = [Math.min(...known), Math.max(...known)];
    const wanted = Math.max((most - least) * 1.16, Math.abs(most) * 0.04, 1e-6);
    const air = (wanted - (most - least)) / 2;
    return [least - air, most + air];
}

// `columns` as series.js makes them; `from` and `to` in milliseconds; `pointed` gets the index of the row below the pointer, or null.
export function Chart({ columns, from, to, marks, limit, about, pointed }) {
    const place = useRef(null);
    const plot = useRef(null);
    const live = useRef(marks);
    live.current = marks;
    const theme = useCell(shown);
    useEffect(() => {
        const made = new uPlot(options(place.current.clientWidth, { from, to, limit, pointed }, live), columns, place.current);
        plot.current = made;
        const sizes = new ResizeObserver(() => made.setSize({ width: place.current.clientWidth, height: HEIGHT }));
        sizes.observe(place.current);
        return () => {
            plot.current = null;
            sizes.disconnect();
            made.destroy();
        };
    }, [theme, language.value, from, to, limit]);
    useEffect(() => plot.current?.setData(columns), [columns, marks]);
    return html`<div class="chart" role="img" aria-label=${about} ref=${place}></div>`;
}

// What one row of the columns says, in words.
export function Readout({ columns, index, metric }) {
    const at = index === null ? lastRow(columns) : index;
    if (at < 0 || columns[0][at] === undefined) return html`<p class="readout"></p>`;
    const [when, mean, min, max, p95, live] = columns.map((column) => column[at]);
    const measure = (value) => `${number(value)} ${unit(metric.unit)}`;
    return html`<p class="readout">
        <span>${time(when * 1000, "moment")} <small>${offset(when * 1000)}</small></span>
        ${mean !== null && html`<span><i class="swatch line"></i>${t("chart.mean")} <b>${measure(mean)}</b></span>`}
        ${min !== null && html`<span><i class="swatch band"></i>${number(min)}–${number(max)}</span>`}
        ${p95 !== null && html`<span><i class="swatch p95"></i>${t("chart.p95")} ${number(p95)}</span>`}
        ${live !== null && html`<span><i class="swatch trail"></i>${t("chart.live")} <b>${measure(live)}</b></span>`}
    </p>`;
}

function lastRow(columns) {
    return columns[0].length - 1;
}
