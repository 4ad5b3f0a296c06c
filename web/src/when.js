// Times and ages on the page. Ages go on while the page is open.

import { html, useEffect, useState } from "vendor/htm-preact.js";
import { age, full } from "myaku/format.js";

// The time, read again every `every` milliseconds while the component is shown and the page is visible.
export function useNow(every = 1000) {
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        const timer = setInterval(() => document.visibilityState !== "hidden" && setNow(Date.now()), every);
        return () => clearInterval(timer);
    }, [every]);
    return now;
}

export function Time({ at }) {
    return html`<time datetime=${new Date(at).toISOString()}>${full(at)}</time>`;
}

// How long ago `at` was, as `say` puts it. The exact time is in the tooltip.
export function Age({ at, say = (text) => text }) {
    const now = useNow(5000);
    return html`<time datetime=${new Date(at).toISOString()} title=${full(at)}>${say(age(now - at))}</time>`;
}
