// Where the reader is. All of it is in the fragment of the address, so that a colleague who opens the address sees the same view,
// and so that no server's log has it.

import { Cell } from "myaku/cell.js";

const VIEWS = { facilities: "facility", devices: "device", alerts: null, profiles: null };

// {view, id, query} of a fragment. An unknown one leads to the facilities.
export function parse(hash) {
    const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
    const [head, ...rest] = path.split("/");
    const query = Object.fromEntries(new URLSearchParams(search));
    const id = rest.length ? decode(rest.join("/")) : null;
    if (!(head in VIEWS)) return { view: "facilities", id: null, query: {} };
    return { view: id && VIEWS[head] ? VIEWS[head] : head, id: VIEWS[head] ? id : null, query };
}

function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

// The fragment of a route. Parameters without a value are left out.
export function format({ view, id = null, query = {} }) {
    const head = Object.keys(VIEWS).find((name) => VIEWS[name] === view) ?? view;
    const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
    return `#/${head}${id === null ? "" : `/${encodeURIComponent(id)}`}${search.size ? `?${search}` : ""}`;
}

export const route = new Cell(parse(location.hash));

const follow = () => (route.value = parse(location.hash));
addEventListener("hashchange", follow);
addEventListener("popstate", follow);

// Goes to another view, which the back button undoes.
export function go(to) {
    history.pushState(null, "", format(to));
    follow();
}

// Changes parameters of this view: the back button skips filters.
export function refine(query) {
    const { view, id, query: before } = route.value;
    history.replaceState(null, "", format({ view, id, query: { ...before, ...query } }));
    follow();
}
