// What surrounds each view: the way to the others, the settings, and the notice about old values.

import { html, useErrorBoundary } from "vendor/htm-preact.js";
import { useCell } from "myaku/cell.js";
import { offset, zone } from "myaku/format.js";
import { Link } from "myaku/link.js";
import { byUrgency } from "myaku/fleet.js";
import { me, signOut, token } from "myaku/session.js";
import { Connection, Said, Stale } from "myaku/status.js";
import { language, LANGUAGES, named, speak, t } from "myaku/text.js";
import { choose, chosen, THEMES } from "myaku/theme.js";
import { open } from "myaku/watch.js";

function Settings() {
    const who = useCell(me);
    const signedIn = useCell(token) !== null;
    return html`<section class="settings" aria-label=${t("settings.label")}>
        <label>${t("settings.language")}
            <select value=${language.value} onChange=${(event) => speak(event.target.value)}>
                ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option key=${tag} value=${tag} lang=${tag}>${name}</option>`)}
            </select>
        </label>
        <label>${t("settings.theme")}
            <select value=${useCell(chosen)} onChange=${(event) => choose(event.target.value)}>
                ${THEMES.map((theme) => html`<option key=${theme} value=${theme}>${t(`theme.${theme}`)}</option>`)}
            </select>
        </label>
        ${who && html`<span class="quiet">${t("session.role", { subject: who.subject, role: named("role", who.role) })}</span>`}
        ${signedIn && html`<button type="button" class="button plain" onClick=${() => signOut()}>${t("session.out")}</button>`}
    </section>`;
}

function Nav({ view, home }) {
    const list = useCell(open);
    const count = list?.items.length ?? 0;
    const tone = count ? byUrgency(list.items)[0].severity : "none";
    const item = (to, active, children) => html`<${Link} to=${to} aria-current=${active ? "page" : null}>${children}<//>`;
    return html`<nav aria-label=${t("nav.label")}>
        ${item(home, ["facilities", "facility", "device"].includes(view), t(home.view === "facility" ? "nav.devices" : "nav.facilities"))}
        ${item(
            { view: "alerts" },
            view === "alerts",
            html`${t("nav.alerts")}${count > 0 && html` <span class=${`badge badge-${tone}`}>${count}${list.more && "+"}<span class="hidden"> ${t("nav.open", { count })}</span></span>`}`,
        )}
        ${item({ view: "profiles" }, view === "profiles", t("nav.profiles"))}
    </nav>`;
}

export function Shell({ view, home, children }) {
    const signedIn = useCell(token) !== null;
    // The fragment belongs to the route, so this link moves the focus itself.
    const skip = (event) => {
        event.preventDefault();
        document.getElementById("content").focus();
    };
    return html`
        <a class="skip" href="#content" onClick=${skip}>${t("app.skip")}</a>
        <header class="top">
            <span class="brand" translate="no"><svg viewBox="0 0 32 20" aria-hidden="true"><path d="M1 11h7l3-8 5 15 4-11 2 4h9" /></svg>${t("app.name")}</span>
            ${signedIn && html`<${Nav} view=${view} home=${home} />`}
            ${signedIn && html`<${Connection} />`}
        </header>
        ${signedIn && html`<${Stale} />`}
        <main id="content" tabindex="-1">${children}</main>
        <footer>
            <${Settings} />
            <p class="quiet">${t("zone", { zone: zone(), offset: offset(Date.now()) })}</p>
        </footer>
        <${Said} />`;
}

// A view that fails takes only itself down.
export function Contained({ children }) {
    const [error] = useErrorBoundary((cause) => console.error(cause));
    return error ? html`<p class="problem" role="alert">${t("error.broken")}</p>` : children;
}
