// Asks again every five seconds while the page is visible, and not at all while it is hidden.

import { useEffect, useState } from "vendor/htm-preact.js";
import { forget, report } from "myaku/connection.js";

// Between an answer and the next call, in milliseconds.
export const EVERY = 5_000;

const running = new Set();

class Poll {
    #load;
    #changed;
    #timer = null;
    #call = null;
    #at = null;

    constructor(load, changed) {
        this.#load = load;
        this.#changed = changed;
    }

    start() {
        running.add(this);
        document.addEventListener("visibilitychange", this.now);
        addEventListener("online", this.now);
        this.now();
    }

    stop() {
        running.delete(this);
        document.removeEventListener("visibilitychange", this.now);
        removeEventListener("online", this.now);
        this.#pause();
        forget(this);
    }

    #pause() {
        clearTimeout(this.#timer);
        this.#call?.abort();
        this.#call = null;
    }

    // Asks at once, or pauses if the page is hidden. A call that is under way is given up: its answer may be older than what the
    // caller has just changed.
    now = async () => {
        this.#pause();
        if (document.visibilityState === "hidden") return;
        const call = new AbortController();
        this.#call = call;
        try {
            const data = await this.#load(call.signal);
            if (call.signal.aborted) return;
            this.#at = Date.now();
            report(this, { failing: false, at: this.#at });
            this.#changed({ data, error: null, at: this.#at });
        } catch (error) {
            if (call.signal.aborted) return;
            report(this, { failing: error.passes ?? false, at: this.#at });
            this.#changed((before) => ({ ...before, error }));
        }
        this.#timer = setTimeout(this.now, EVERY);
    };
}

// Lets all polls ask at once, after something was changed.
export function refresh() {
    for (const poll of running) poll.now();
}

// Polls `load(signal)` while the component is shown; `key` names what is asked for. Returns {data, error, at}: the last answer, why the
// last call failed, and when an answer came. Data of another key is never returned. A null key asks for nothing.
export function usePoll(key, load) {
    const empty = { data: null, error: null, at: null };
    const [state, setState] = useState({ key, ...empty });
    useEffect(() => {
        if (key === null) return undefined;
        const poll = new Poll(load, (change) =>
            setState((before) => {
                const last = before.key === key ? before : { key, ...empty };
                return { key, ...(typeof change === "function" ? change(last) : change) };
            }),
        );
        poll.start();
        return () => poll.stop();
    }, [key]);
    return state.key === key ? state : empty;
}
