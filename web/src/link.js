// A link to another view: an ordinary one, so that it opens in a new tab as well.

import { html } from "vendor/htm-preact.js";
import { format, go } from "myaku/route.js";

export function Link({ to, children, ...rest }) {
    const follow = (event) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(to);
    };
    return html`<a href=${format(to)} onClick=${follow} ...${rest}>${children}</a>`;
}
