// The choice of a facility. Those with open alerts come first.

import { html } from "vendor/htm-preact.js";
import { pages } from "myaku/api.js";
import { byUrgency, rank } from "myaku/fleet.js";
import { Link } from "myaku/link.js";
import { Outcome } from "myaku/outcome.js";
import { usePoll } from "myaku/poll.js";
import { Severity, Sign } from "myaku/sign.js";
import { t } from "myaku/text.js";
import { Title } from "myaku/title.js";
import { useOpen } from "myaku/watch.js";

// Facilities that the view holds at most.
const MOST = 1_000;

export function Facilities() {
    const answer = usePoll("facilities", pages("facilities", "v1/facilities", { limit: 100 }, MOST));
    const alerts = useOpen(() => true);
    return html`<${Title} text=${t("facilities.title")} />
        <${Outcome} of=${answer}>
            ${({ items }) =>
                items.length === 0
                    ? html`<p class="quiet">${t("facilities.none")}</p>`
                    : html`<ul class="facilities">${sorted(items, alerts ?? []).map((item) => html`<${Item} key=${item.facility} ...${item} />`)}</ul>`}
        <//>`;
}

// Each facility with the severity of its most urgent open alert, the most urgent first.
function sorted(facilities, alerts) {
    return facilities
        .map((item) => ({ ...item, worst: byUrgency(alerts.filter(({ subject }) => subject.facility === item.facility))[0]?.severity }))
        .sort((one, other) => urgency(other) - urgency(one) || one.facility.localeCompare(other.facility, undefined, { numeric: true }));
}

function urgency({ openAlerts, worst, silent }) {
    return openAlerts ? 10 + (worst ? 1 + rank(worst) : 0) : silent ? 1 : 0;
}

function Item({ facility, devices, connected, silent, openAlerts, worst }) {
    return html`<li><${Link} to=${{ view: "facility", id: facility }} class="card facility">
        <h2>${facility}</h2>
        <p class="first">${
            openAlerts > 0
                ? html`${worst && html`<${Severity} of=${worst} />`} <b>${t("count.alerts", { count: openAlerts })}</b>`
                : html`<span class="mark tone-connected"><${Sign} of="connected" /><span>${t("count.none")}</span></span>`
        }</p>
        <p class="quiet">
            ${connected !== null && html`<span>${t("count.connected", { count: connected, all: devices })}</span>`}
            ${silent > 0 && html`<span class="mark tone-silent"><${Sign} of="silent" /><span>${t("count.silent", { count: silent })}</span></span>`}
        </p>
    <//></li>`;
}
