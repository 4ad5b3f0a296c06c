// One alert: what is wrong with which device, since when, and what can be done about it.

import { html, useState } from "vendor/htm-preact.js";
import { call } from "myaku/api.js";
import { useCell } from "myaku/cell.js";
import { age, full, metric as nameOf, number } from "myaku/format.js";
import { History } from "myaku/history.js";
import { Link } from "myaku/link.js";
import { reason } from "myaku/outcome.js";
import { refresh } from "myaku/poll.js";
import { around } from "myaku/series.js";
import { mayAcknowledge, me } from "myaku/session.js";
import { Severity, State } from "myaku/sign.js";
import { say } from "myaku/status.js";
import { named, t } from "myaku/text.js";
import { Age, Time } from "myaku/when.js";

// A button for those who may acknowledge.
function Acknowledge({ alert }) {
    const [state, setState] = useState({ busy: false, error: null });
    if (!mayAcknowledge(useCell(me)) || alert.state !== "open") return null;
    const acknowledge = async () => {
        setState({ busy: true, error: null });
        try {
            await call(`v1/alerts/${encodeURIComponent(alert.id)}/acknowledge`, { method: "POST" });
            say(t("alerts.acknowledged", { device: alert.subject.deviceId }));
            refresh();
        } catch (error) {
            setState({ busy: false, error });
        }
    };
    const name = t("alerts.acknowledge.of", { device: alert.subject.deviceId, message: alert.message });
    return html`<div class="act">
        <button type="button" class="button" aria-label=${name} disabled=${state.busy} onClick=${acknowledge}>${t("alerts.acknowledge")}</button>
        ${state.error && html`<span class="problem" role="alert">${reason(state.error)}</span>`}
    </div>`;
}

// When it began and ended, in a few words.
function Span({ alert }) {
    if (alert.clearedAt !== null) {
        return html`<span>${t("alerts.lasted", { age: age(alert.clearedAt - alert.since), time: full(alert.clearedAt) })}</span>`;
    }
    return html`<${Age} at=${alert.since} say=${(text) => t("alerts.since", { age: text })} />`;
}

// The facts, and the chart around the alert.
export function Why({ alert }) {
    const { evidence, subject, since, clearedAt } = alert;
    const fact = (term, text) => html`<div><dt>${term}</dt><dd>${text}</dd></div>`;
    return html`<div class="why">
        <dl class="facts">
            ${fact(t("alerts.began"), html`<${Time} at=${since} />`)}
            ${fact(t("alerts.raised"), html`<${Time} at=${alert.raisedAt} />`)}
            ${clearedAt !== null && fact(t("alerts.cleared"), html`<${Time} at=${clearedAt} />`)}
            ${alert.rule && fact(t("alerts.rule"), `${alert.rule} (${named("kind", alert.kind)})`)}
            ${evidence && evidence.value !== null && fact(t("alerts.value"), `${nameOf(evidence.metric)} ${number(evidence.value)}`)}
            ${evidence && evidence.limit !== null && fact(t("alerts.limit"), number(evidence.limit))}
        </dl>
        ${evidence?.metric &&
        html`<${History} deviceId=${subject.deviceId} metric=${{ metric: evidence.metric, unit: evidence.unit }}
            range=${around(since, clearedAt, Date.now())} alerts=${[alert]} limit=${evidence.limit} />`}
    </div>`;
}

// `shown` says whether the reasons are in sight; `toggle`, if given, makes a button for them. `here` leaves out the link to the device.
export function Alert({ alert, shown = false, toggle, here = false }) {
    const { subject } = alert;
    return html`<article class=${`alert alert-${alert.severity} alert-${alert.state}`}>
        <div class="alert-head">
            <${Severity} of=${alert.severity} />
            ${!here && html`<${Link} to=${{ view: "device", id: subject.deviceId }} class="device">${subject.deviceId}<//>`}
            ${!here && subject.facility && html`<span class="quiet">${subject.facility}</span>`}
            <span class="quiet"><${Span} alert=${alert} /></span>
            ${alert.state !== "open" && html`<${State} of=${alert.state} />`}
        </div>
        <p class="message"><span class="kind">${named("kind", alert.kind)}</span> ${alert.message}</p>
        ${alert.acknowledgedAt !== null &&
        html`<p class="quiet">${t("alerts.by", { who: alert.acknowledgedBy ?? "–", time: full(alert.acknowledgedAt) })}</p>`}
        <div class="acts">
            <${Acknowledge} alert=${alert} />
            ${toggle &&
            html`<button type="button" class="button plain" aria-expanded=${String(shown)} onClick=${toggle}>
                ${t("alerts.why")}<span class="hidden">: ${subject.deviceId}, ${alert.message}</span>
            </button>`}
        </div>
        ${shown && html`<${Why} alert=${alert} />`}
    </article>`;
}
