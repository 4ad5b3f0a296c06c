// Who is signed in. The token lives in this tab's storage and in memory, and never in an address.

import { Cell } from "myaku/cell.js";

const KEY = "myaku.token";

// The bearer token, or null.
export const token = new Cell(null);
// Why the last session ended: "expired" or null.
export const ended = new Cell(null);
// What /v1/me says of the token: {subject, role, facilities}, or null while unknown.
export const me = new Cell(null);

// Takes the session of this tab up again. `myaku local` prints an address with `#token=…`, which counts once and is removed
// from the address before anything is drawn. Elsewhere a link must not say who is signed in.
export function resume() {
    const found = /^#token=([\w.~-]+)/.exec(location.hash);
    if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname + location.search);
    if (found && ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) signIn(found[1]);
    else token.value = sessionStorage.getItem(KEY);
}

export function signIn(text) {
    const cleaned = text.trim().replace(/^bearer\s+/i, "");
    sessionStorage.setItem(KEY, cleaned);
    ended.value = null;
    me.value = null;
    token.value = cleaned;
}

export function signOut(why = null) {
    sessionStorage.removeItem(KEY);
    ended.value = why;
    me.value = null;
    token.value = null;
}

// Whether the role may acknowledge alerts. The server decides; this only hides a button that would be refused.
export function mayAcknowledge(who) {
    return who?.role === "operator" || who?.role === "admin";
}
