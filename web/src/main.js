// The page: signs in, finds the view of the address, and draws it.

import { html, render, useEffect, useRef } from "vendor/htm-preact.js";
import { Alerts } from "myaku/alerts.js";
import { call } from "myaku/api.js";
import { useCell } from "myaku/cell.js";
import { Device } from "myaku/device.js";
import { Facilities } from "myaku/facilities.js";
import { Facility } from "myaku/facility.js";
import { usePoll } from "myaku/poll.js";
import { Profiles } from "myaku/profiles.js";
import { route } from "myaku/route.js";
import { me, resume, token } from "myaku/session.js";
import { Contained, Shell } from "myaku/shell.js";
import { SignIn } from "myaku/signin.js";
import { language, t } from "myaku/text.js";
import { Watch } from "myaku/watch.js";

const VIEWS = { facilities: Facilities, facility: Facility, device: Device, alerts: Alerts, profiles: Profiles };

// Where the first link of the page leads: to the only facility of the token, or to the choice.
function homeOf(who) {
    return who?.facilities?.length === 1 ? { view: "facility", id: who.facilities[0] } : { view: "facilities" };
}

function Page() {
    const signedIn = useCell(token);
    useCell(language);
    const here = useCell(route);
    const who = useCell(me);
    const home = homeOf(who);
    // One facility leaves nothing to choose.
    const { view, id, query } = here.view === "facilities" && home.view === "facility" ? { ...home, query: here.query } : here;
    useFocus(`${view} ${id}`);
    if (signedIn === null) return html`<${Shell} view="signin" home=${home}><${SignIn} /><//>`;
    return html`<${Shell} view=${view} home=${home}>
        <${Me} key=${signedIn} />
        <${Watch} key=${`watch ${signedIn}`} />
        <${Contained} key=${`${view} ${id}`}><${VIEWS[view]} id=${id} query=${query} /><//>
    <//>`;
}

// Asks who is signed in.
function Me() {
    const { data } = usePoll("me", (signal) => call("v1/me", { signal }));
    useEffect(() => {
        if (data) me.value = data;
    }, [data]);
    return null;
}

// After a change of the view, the focus is at its beginning, and a screen reader says its title.
function useFocus(place) {
    const first = useRef(true);
    useEffect(() => {
        if (first.current) {
            first.current = false;
            return;
        }
        scrollTo(0, 0);
        (document.querySelector("main h1") ?? document.getElementById("content")).focus();
    }, [place]);
}

resume();
document.title = t("app.name");
render(html`<${Page} />`, document.getElementById("page"));
