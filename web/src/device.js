// One device: its state, its values, their history, its alerts.

import { html } from "vendor/htm-preact.js";
import { Alert } from "myaku/alert.js";
import { call, pages } from "myaku/api.js";
import { Choice } from "myaku/choice.js";
import { byUrgency } from "myaku/fleet.js";
import { metric as nameOf, number, unit, value } from "myaku/format.js";
import { History } from "myaku/history.js";
import { Link } from "myaku/link.js";
import { Outcome } from "myaku/outcome.js";
import { usePoll } from "myaku/poll.js";
import { refine } from "myaku/route.js";
import { range, SPANS } from "myaku/series.js";
import { Freshness, Partial, Severity, Status } from "myaku/sign.js";
import { t } from "myaku/text.js";
import { Title } from "myaku/title.js";
import { Age } from "myaku/when.js";

// Alerts that the view holds at most: open, acknowledged and past.
const ALERTS = 200;

export function Device({ id, query }) {
    const answer = usePoll(`device ${id}`, (signal) => call(`v1/devices/${encodeURIComponent(id)}`, { signal }));
    const alerts = usePoll(`alerts of ${id}`, pages("alerts", "v1/alerts", { deviceId: id, limit: 100 }, ALERTS));
    return html`<${Title} text=${id} />
        <${Outcome} of=${answer}>
            ${(device) => html`<${Known} device=${device} alerts=${alerts.data?.items ?? device.alerts} span=${query.span in SPANS ? query.span : "hour"} />`}
        <//>`;
}

function Known({ device, alerts, span }) {
    const open = byUrgency(alerts.filter((alert) => alert.state === "open"));
    const others = alerts.filter((alert) => alert.state !== "open");
    const section = (id, title, children) => html`<section aria-labelledby=${id}><h2 id=${id}>${title}</h2>${children}</section>`;
    const list = (items, none) =>
        items.length ? html`<ul class="alerts">${items.map((alert) => html`<li key=${alert.id}><${Alert} alert=${alert} here /></li>`)}</ul>` : html`<p class="quiet">${none}</p>`;
    return html`
        <${Presence} device=${device} />
        ${open.length > 0 && section("open", t("device.alerts"), list(open, ""))}
        ${section("values", t("device.values"), html`<${Values} metrics=${device.metrics} open=${open} />`)}
        ${device.metrics.some(isNumeric) && section("history", t("device.history"), html`<${Charts} device=${device} alerts=${alerts} span=${span} />`)}
        ${open.length === 0 && section("open", t("device.alerts"), list(open, t("device.noalerts")))}
        ${section("past", t("device.past"), list(others, t("device.nopast")))}`;
}

function Presence({ device }) {
    const { lastHeardAt: heard, connected } = device.status;
    // A device whose presence is unknown may have been heard through a gateway.
    const never = connected === null ? "" : t("status.never");
    return html`<dl class="facts presence">
        <div><dt>${t("device.presence")}</dt><dd><${Status} device=${device} />
            <span class="quiet">${heard === null ? never : html`<${Age} at=${heard} say=${(text) => t("status.heard", { age: text })} />`}</span></dd></div>
        <div><dt>${t("device.facility")}</dt><dd>${device.facility ? html`<${Link} to=${{ view: "facility", id: device.facility }}>${device.facility}<//>` : "–"}</dd></div>
        <div><dt>${t("device.profile")}</dt><dd><${Link} to=${{ view: "profiles", query: { id: device.profile } }}>${device.profile}<//>
            ${device.profileVersion && html` <span class="quiet">${t("device.version", { version: device.profileVersion })}</span>`}</dd></div>
    </dl>`;
}

function isNumeric(metric) {
    return typeof metric.value === "number" || Boolean(metric.average);
}

function Values({ metrics, open }) {
    if (metrics.length === 0) return html`<p class="quiet">${t("device.nometrics")}</p>`;
    const urgent = (name) => open.find(({ evidence }) => evidence?.metric === name);
    return html`<ul class="tiles">${metrics.map(
        (metric) => html`<li key=${metric.metric} class=${`tile fresh-${metric.freshness}`}>
            <span class="name">${nameOf(metric.metric)}</span>
            <span class="number"><b>${value(metric.value)}</b> <small>${metric.value === null ? "" : unit(metric.unit)}</small></span>
            <span class="quiet when"><${Freshness} of=${metric.freshness} />${metric.at && html`<${Age} at=${metric.at} />`}</span>
            ${metric.average &&
            html`<span class="quiet">${t("device.average", { mean: number(metric.average.mean), min: number(metric.average.min), max: number(metric.average.max) })}</span>`}
            <${Partial} metric=${metric} />
            ${urgent(metric.metric) && html`<span><${Severity} of=${urgent(metric.metric).severity} /></span>`}
        </li>`,
    )}</ul>`;
}

function Charts({ device, alerts, span }) {
    const asked = range(span, Date.now());
    const spans = Object.keys(SPANS).map((name) => ({ name, word: t(`span.${name}`) }));
    return html`
        <div class="tools">
            <${Choice} label=${t("span.label")} options=${spans} chosen=${span} choose=${(name) => refine({ span: name === "hour" ? "" : name })} />
            <${Legend} />
        </div>
        ${device.metrics.filter(isNumeric).map(
            (metric) => html`<div class="card charted" key=${metric.metric}>
                <h3>${nameOf(metric.metric)} <small class="quiet">${unit(metric.unit)}</small></h3>
                <${History} deviceId=${device.deviceId} metric=${metric} range=${asked}
                    alerts=${alerts.filter(({ evidence }) => !evidence || evidence.metric === metric.metric)} />
            </div>`,
        )}`;
}

function Legend() {
    const item = (name) => html`<li><i class=${`swatch ${name === "mean" ? "line" : name === "live" ? "trail" : name}`}></i>${t(`chart.${name}`)}</li>`;
    return html`<ul class="legend">${["mean", "band", "p95", "live", "alert"].map(item)}</ul>`;
}
