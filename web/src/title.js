// The heading of a view, which is the title of the window as well.

import { html, useEffect } from "vendor/htm-preact.js";
import { t } from "myaku/text.js";

export function Title({ text, children }) {
    useEffect(() => {
        document.title = `${text} – ${t("app.name")}`;
    }, [text]);
    return html`<div class="title"><h1 tabindex="-1">${text}</h1>${children}</div>`;
}
