// What the page says of itself: whether its values are up to date, and what an action did.

import { html, useEffect } from "vendor/htm-preact.js";
import { Cell, useCell } from "myaku/cell.js";
import { connection } from "myaku/connection.js";
import { age, full } from "myaku/format.js";
import { Sign } from "myaku/sign.js";
import { t } from "myaku/text.js";
import { useNow } from "myaku/when.js";

const said = new Cell("");

// Lets a screen reader say the outcome of an action.
export function say(text) {
    said.value = text;
}

export function Said() {
    return html`<div class="hidden" role="status" data-live="said">${useCell(said)}</div>`;
}

// A small word in the header.
export function Connection() {
    const { failing, seen } = useCell(connection);
    const [tone, word] = failing ? ["stale", t("connection.stale")] : seen ? ["fresh", t("connection.live")] : ["wait", t("connection.connecting")];
    return html`<span class=${`connection connection-${tone}`} data-connection=${tone}><i></i>${word}</span>`;
}

// A bar over the whole width while the values are not up to date. It says how old they are.
export function Stale() {
    const { failing } = useCell(connection);
    useEffect(() => {
        document.documentElement.toggleAttribute("data-stale", failing);
    }, [failing]);
    return html`<div role="status" class="stale-place">${failing && html`<${Bar} />`}</div>`;
}

function Bar() {
    const now = useNow(1000);
    const { since } = useCell(connection);
    const known = since !== null && Number.isFinite(since) && since > 0;
    return html`<p class="stale">
        <${Sign} of="disconnected" />
        <span aria-live="off">${known ? t("connection.offline", { age: age(now - since), time: full(since) }) : t("connection.never")}</span>
    </p>`;
}
