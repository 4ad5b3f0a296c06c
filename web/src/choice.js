// A choice among a few things that are all in sight: buttons of which one is pressed.

import { html } from "vendor/htm-preact.js";

// `options` are {name, word, count}; `choose` gets the name.
export function Choice({ label, options, chosen, choose }) {
    return html`<div class="choice" role="group" aria-label=${label}>
        ${options.map(
            ({ name, word, count }) => html`<button key=${name} type="button" aria-pressed=${String(name === chosen)} onClick=${() => choose(name)}>
                ${word}${count !== undefined && html` <b>${count.toLocaleString()}</b>`}
            </button>`,
        )}
    </div>`;
}
