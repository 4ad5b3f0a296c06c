// One device in the list of its facility: all of it is a link.

import { Component, html } from "vendor/htm-preact.js";
import { metric as nameOf, unit, value } from "myaku/format.js";
import { Link } from "myaku/link.js";
import { Freshness, Severity, State, Status } from "myaku/sign.js";
import { language, t } from "myaku/text.js";

// Values that fit into a row. The style sheet hides the last ones where it is narrow.
const VALUES = 4;

// A value with its unit and how fresh it is.
export function Value({ metric }) {
    return html`<span class=${`value fresh-${metric.freshness}`}>
        <span class="name">${nameOf(metric.metric)}</span>
        <span class="number"><b>${value(metric.value)}</b> <small>${metric.value === null ? "" : unit(metric.unit)}</small></span>
        <${Freshness} of=${metric.freshness} brief />
    </span>`;
}

// `severity` is that of the most urgent open alert, or null. Drawn again only when its device has changed, so that an answer for 1,000 devices costs little.
export class Row extends Component {
    shouldComponentUpdate(next) {
        return next.device !== this.props.device || next.severity !== this.props.severity || this.language !== language.value;
    }

    render({ device, severity }) {
        this.language = language.value;
        return html`<${Link} to=${{ view: "device", id: device.deviceId }} class="row">
            <span class="who"><b>${device.deviceId}</b> <small class="quiet">${device.profile}</small></span>
            <span class="states">
                <${Status} device=${device} />
                ${device.openAlerts > 0 && (severity ? html`<${Severity} of=${severity} count=${device.openAlerts} />` : html`<${State} of="acknowledged" />`)}
            </span>
            <span class="values">
                ${device.metrics.length === 0 && html`<span class="quiet">${t("value.none")}</span>`}
                ${device.metrics.slice(0, VALUES).map((metric) => html`<${Value} key=${metric.metric} metric=${metric} />`)}
            </span>
        <//>`;
    }
}
