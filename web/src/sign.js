// The sign of each state. Shape and word say it as well as colour does.

import { html } from "vendor/htm-preact.js";
import { status } from "myaku/fleet.js";
import { named, t } from "myaku/text.js";

const SHAPES = {
    // An octagon, a triangle and a circle, each with its mark cut out.
    critical: "M5.1 0h5.8L16 5.1v5.8L10.9 16H5.1L0 10.9V5.1zM7 3.5v5.2h2V3.5zM7 10.5v2h2v-2z",
    warning: "M8 .8 16 15H0zM7.1 6v4.3h1.8V6zM7.1 11.5v1.8h1.8v-1.8z",
    info: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM7 3.4h2v2H7zM7 6.8h2v5.8H7z",
    // A tick, a crossed ring, a pause, a dot in a ring.
    connected: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM6.9 11.8 3.4 8.3l1.3-1.3 2.2 2.2 4.5-4.5 1.3 1.3z",
    disconnected: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM8 2a6 6 0 0 1 3.5 1.1L3.1 11.5A6 6 0 0 1 8 2zM4.5 12.9l8.4-8.4A6 6 0 0 1 4.5 12.9z",
    silent: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM5 4.5h2v7H5zM9 4.5h2v7H9z",
    unknown: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM6.5 8a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0z",
    live: "M8 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
    late: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM7.2 4h1.6v3.6l2.6 2.6-1.1 1.1-3.1-3.1z",
    acknowledged: "M5.8 13.2.9 8.3l1.6-1.6 3.3 3.3 7.7-7.7 1.6 1.6z",
    cleared: "M1 7h14v2H1z",
    pulse: "M0 8.9V7.1h3.6L5.9 2l3.4 9 1.8-3.9H16v1.8h-3.7L9.1 15 5.7 6.2 4.6 8.9z",
};

export function Sign({ of }) {
    return html`<svg class=${`sign sign-${of}`} viewBox="0 0 16 16" aria-hidden="true"><path fill-rule="evenodd" d=${SHAPES[of] ?? SHAPES.unknown} /></svg>`;
}

// A state as its sign and its word.
function Mark({ tone, sign, word, extra }) {
    return html`<span class=${`mark tone-${tone}`}><${Sign} of=${sign} /><span>${word}</span>${extra}</span>`;
}

export function Severity({ of, count }) {
    const sign = of in SHAPES ? of : "warning";
    return html`<${Mark} tone=${sign} sign=${sign} word=${named("severity", of)} extra=${count > 1 && html`<b class="count">${count}</b>`} />`;
}

export function Status({ device }) {
    const name = status(device);
    return html`<${Mark} tone=${name} sign=${name} word=${named("status", name)} />`;
}

export function State({ of }) {
    return html`<${Mark} tone=${of === "open" ? "plain" : "quiet"} sign=${of === "open" ? "pulse" : of} word=${named("state", of)} />`;
}

// How fresh a value is. A live value needs no word beside the sign where space is short.
export function Freshness({ of, brief = false }) {
    const word = named("freshness", of);
    return html`<span class=${`freshness fresh-${of}`}>
        <${Sign} of=${of} />${brief && of === "live" ? html`<span class="hidden">${word}</span>` : html`<span>${word}</span>`}
    </span>`;
}

export function Partial({ metric }) {
    return metric.partial && html`<span class="partial">${t("value.partial")}</span>`;
}
