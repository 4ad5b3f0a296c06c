// A long list of which only the rows in sight are in the document.

import { html, useEffect, useLayoutEffect, useRef, useState } from "vendor/htm-preact.js";

// Rows that are kept above and below those in sight, so that the Tab key and quick scrolling find the next one.
const SPARE = 6;

// Which rows to draw: [first, end). `top` is how far the list's beginning is above the upper edge of the window, in pixels.
export function inSight(count, height, top, window) {
    const first = Math.floor(top / height) - SPARE;
    const end = Math.ceil((top + window) / height) + SPARE;
    return [Math.max(0, Math.min(count, first)), Math.max(0, Math.min(count, end))];
}

// The height of a row in pixels, which the style sheet decides by the width of the window.
function rowHeight(element) {
    return parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 72;
}

export function LongList({ label, items, keyOf, row }) {
    const list = useRef(null);
    const [{ height, first, end }, setSight] = useState({ height: 72, first: 0, end: 20 });
    const look = useRef(null);
    look.current = () => {
        const element = list.current;
        if (!element) return;
        const tall = rowHeight(element);
        const [from, to] = inSight(items.length, tall, -element.getBoundingClientRect().top, innerHeight);
        setSight((before) => (before.first === from && before.end === to && before.height === tall ? before : { height: tall, first: from, end: to }));
    };
    useLayoutEffect(() => look.current(), [items.length]);
    useEffect(() => {
        let frame = 0;
        const later = () => {
            frame ||= requestAnimationFrame(() => {
                frame = 0;
                look.current();
            });
        };
        // What stands above the list may grow or shrink, which moves the list.
        const above = new ResizeObserver(later);
        above.observe(document.body);
        addEventListener("scroll", later, { passive: true });
        addEventListener("resize", later);
        return () => {
            cancelAnimationFrame(frame);
            above.disconnect();
            removeEventListener("scroll", later);
            removeEventListener("resize", later);
        };
    }, []);
    const shown = items.slice(first, end);
    return html`<ul class="long" aria-label=${label} ref=${list} style=${{ height: `${items.length * height}px` }}>
        ${shown.map(
            (item, index) => html`<li key=${keyOf(item)} style=${{ transform: `translateY(${(first + index) * height}px)`, height: `${height}px` }}
                aria-setsize=${items.length} aria-posinset=${first + index + 1}>${row(item)}</li>`,
        )}
    </ul>`;
}
