// A cell holds one value that several parts of the page follow: the session, the language, the connection.

import { useEffect, useState } from "vendor/htm-preact.js";

export class Cell {
    #value;
    #followers = new Set();

    constructor(value) {
        this.#value = value;
    }

    get value() {
        return this.#value;
    }

    set value(value) {
        if (value === this.#value) return;
        this.#value = value;
        for (const follower of [...this.#followers]) follower(value);
    }

    // Calls `follower` at each change, until the function that this returns is called.
    follow(follower) {
        this.#followers.add(follower);
        return () => this.#followers.delete(follower);
    }
}

// The value of a cell, for a component that is drawn again when it changes.
export function useCell(cell) {
    const [, draw] = useState(0);
    useEffect(() => {
        const again = () => draw((count) => count + 1);
        // It may have changed between the first drawing and this effect.
        again();
        return cell.follow(again);
    }, [cell]);
    return cell.value;
}
