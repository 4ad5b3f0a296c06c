// What a view shows instead of its data: that it loads, or why there is none.

import { html } from "vendor/htm-preact.js";
import { t } from "myaku/text.js";

// The words for a failed call.
export function reason(error) {
    if (error.passes) return t("error.passing");
    if (error.status === 404) return t("error.missing");
    if (error.status === 403) return t("error.refused");
    return t("error.other", { title: error.detail ?? error.message });
}

// Shows `children(data)` when there is data. A failure that passes keeps the last data; the notice of the page says how old it is.
export function Outcome({ of: { data, error }, children }) {
    if (error && !error.passes) return html`<p class="problem" role="alert">${reason(error)}</p>`;
    if (data === null) return html`<p class="quiet" role="status">${t("loading")}</p>`;
    return children(data);
}
