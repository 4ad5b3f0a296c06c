// One facility: what needs attention first, then all of its devices.

import { html, useMemo } from "vendor/htm-preact.js";
import { pages } from "myaku/api.js";
import { useCell } from "myaku/cell.js";
import { Choice } from "myaku/choice.js";
import { byUrgency, counts, select, SHOWS, worst } from "myaku/fleet.js";
import { Link } from "myaku/link.js";
import { LongList } from "myaku/list.js";
import { Outcome } from "myaku/outcome.js";
import { usePoll } from "myaku/poll.js";
import { refine } from "myaku/route.js";
import { Row } from "myaku/row.js";
import { Severity, Sign } from "myaku/sign.js";
import { t } from "myaku/text.js";
import { Title } from "myaku/title.js";
import { Age } from "myaku/when.js";
import { open, useOpen } from "myaku/watch.js";

// Devices that the view holds at most.
const MOST = 3_000;
// Alerts that stand above the devices.
const FIRST = 4;

export function Facility({ id, query }) {
    const answer = usePoll(`devices of ${id}`, pages("devices", "v1/devices", { facility: id, limit: 200 }, MOST));
    const alerts = useOpen(({ subject }) => subject.facility === id);
    const complete = useCell(open)?.more === false;
    return html`<${Title} text=${id} />
        <${Outcome} of=${answer}>
            ${({ items, more }) => html`
                <${Attention} facility=${id} alerts=${alerts ?? []} devices=${items} />
                <${Devices} devices=${items} more=${more} alerts=${alerts ?? []} complete=${complete} query=${query} />`}
        <//>`;
}

function Attention({ facility, alerts, devices }) {
    const silent = counts(devices).silent;
    if (alerts.length === 0 && silent === 0) {
        return html`<section class="attention calm" aria-label=${t("facility.attention")}>
            <p><${Sign} of="connected" /> ${t("facility.calm")}</p>
        </section>`;
    }
    return html`<section class="attention" aria-labelledby="attention">
        <h2 id="attention">${t("facility.attention")}</h2>
        <ul>
            ${byUrgency(alerts)
                .slice(0, FIRST)
                .map(
                    (alert) => html`<li key=${alert.id}><${Link} to=${{ view: "device", id: alert.subject.deviceId }} class=${`urgent alert-${alert.severity}`}>
                        <${Severity} of=${alert.severity} />
                        <b>${alert.subject.deviceId}</b>
                        <span class="message">${alert.message}</span>
                        <span class="quiet"><${Age} at=${alert.since} say=${(text) => t("alerts.since", { age: text })} /></span>
                    <//></li>`,
                )}
        </ul>
        <p class="further">
            ${alerts.length > FIRST &&
            html`<${Link} to=${{ view: "alerts", query: { facility } }}>${t("facility.all", { count: alerts.length })}<//>`}
            ${silent > 0 &&
            html`<button type="button" class="as-link" onClick=${() => refine({ show: "silent", q: "", profile: "" })}>
                <${Sign} of="silent" /> <span>${t("facility.silent", { count: silent })}</span>
            </button>`}
        </p>
    </section>`;
}

// `complete` says that all open alerts are known: then other alerts of a device are acknowledged ones.
function Devices({ devices, more, alerts, complete, query }) {
    const { q = "", show = "all", profile = "" } = query;
    const severities = useMemo(() => worst(alerts), [alerts.map(({ id, severity }) => id + severity).join()]);
    const chosen = useMemo(() => select(devices, severities, { q, show, profile }), [devices, severities, q, show, profile]);
    const numbers = useMemo(() => counts(devices), [devices]);
    const profiles = useMemo(() => [...new Set(devices.map((device) => device.profile))].sort(), [devices]);
    const filters = SHOWS.map((name) => ({ name, word: t(`filter.${name}`), count: numbers[name] }));
    return html`<section aria-labelledby="devices">
        <h2 id="devices">${t("facility.devices")}</h2>
        <div class="tools" role="search">
            <label class="grow"><span class="hidden">${t("facility.search")}</span>
                <input type="search" placeholder=${t("facility.search")} value=${q} onInput=${(event) => refine({ q: event.target.value })} />
            </label>
            ${profiles.length > 1 &&
            html`<label><span class="hidden">${t("facility.profile")}</span>
                <select value=${profile} onChange=${(event) => refine({ profile: event.target.value })}>
                    <option value="">${t("facility.profiles")}</option>
                    ${profiles.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
                </select>
            </label>`}
            <${Choice} label=${t("facility.filter")} options=${filters} chosen=${show} choose=${(name) => refine({ show: name === "all" ? "" : name })} />
        </div>
        ${more && html`<p class="problem">${t("facility.more", { count: devices.length })}</p>`}
        <p class="quiet" role="status">${t("facility.shown", { count: chosen.length, all: devices.length })}</p>
        ${
            chosen.length
                ? html`<${LongList} label=${t("facility.devices")} items=${chosen} keyOf=${(device) => device.deviceId}
                      row=${(device) => html`<${Row} device=${device} severity=${severities.get(device.deviceId) ?? (complete ? null : "warning")} />`} />`
                : html`<p class="nothing">${t("facility.nothing")} <button type="button" class="button plain"
                      onClick=${() => refine({ q: "", show: "", profile: "" })}>${t("facility.clear")}</button></p>`
        }
    </section>`;
}
