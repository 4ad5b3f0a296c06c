// All alerts: open, acknowledged and past ones, and why each was raised.

import { html } from "vendor/htm-preact.js";
import { Alert } from "myaku/alert.js";
import { pages } from "myaku/api.js";
import { useCell } from "myaku/cell.js";
import { Choice } from "myaku/choice.js";
import { byUrgency } from "myaku/fleet.js";
import { Outcome } from "myaku/outcome.js";
import { usePoll } from "myaku/poll.js";
import { refine } from "myaku/route.js";
import { t } from "myaku/text.js";
import { Title } from "myaku/title.js";
import { me } from "myaku/session.js";
import { open } from "myaku/watch.js";

const STATES = ["open", "acknowledged", "cleared"];
// Alerts of a state that the view holds at most.
const MOST = 200;

export function Alerts({ query }) {
    const state = STATES.includes(query.state) ? query.state : "open";
    const { facility = "", alert: why } = query;
    const asked = { state, facility, limit: 100 };
    const answer = usePoll(`alerts ${state} ${facility}`, pages("alerts", "v1/alerts", asked, MOST));
    const count = useCell(open)?.items.length;
    const states = STATES.map((name) => ({ name, word: t(`state.${name}`), count: name === "open" && !facility ? count : undefined }));
    return html`<${Title} text=${t("alerts.title")} />
        <div class="tools">
            <${Choice} label=${t("alerts.state")} options=${states} chosen=${state} choose=${(name) => refine({ state: name === "open" ? "" : name, alert: "" })} />
            <${Where} facility=${facility} />
        </div>
        <${Outcome} of=${answer}>
            ${({ items, more }) => html`
                ${more && html`<p class="quiet">${t("alerts.more", { count: items.length })}</p>`}
                ${
                    items.length
                        ? html`<ul class="alerts">${order(state, items).map(
                              (alert) => html`<li key=${alert.id}><${Alert} alert=${alert} shown=${alert.id === why}
                                  toggle=${() => refine({ alert: alert.id === why ? "" : alert.id })} /></li>`,
                          )}</ul>`
                        : html`<p class="nothing">${t(`alerts.none.${state}`)}</p>`
                }`}
        <//>`;
}

// Open alerts by urgency, the others as they come: the newest first.
function order(state, items) {
    return state === "open" ? byUrgency(items) : items;
}

// The choice of a facility, for tokens that may see several. The names of those without an alert come from the token.
function Where({ facility }) {
    const list = useCell(open);
    const known = useCell(me)?.facilities ?? list?.items.map(({ subject }) => subject.facility).filter(Boolean) ?? [];
    const names = [...new Set([...known, ...(facility ? [facility] : [])])].sort();
    if (names.length < 2 && !facility) return null;
    return html`<label><span class="hidden">${t("alerts.facility")}</span>
        <select value=${facility} onChange=${(event) => refine({ facility: event.target.value, alert: "" })}>
            <option value="">${t("alerts.everywhere")}</option>
            ${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
        </select>
    </label>`;
}
