// Light, dark, or what the device prefers.

import { Cell } from "myaku/cell.js";

const KEY = "myaku.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const THEMES = ["auto", "light", "dark"];
// What the reader has chosen.
export const chosen = new Cell(stored());
// What is shown: "light" or "dark". Charts follow it, because a canvas keeps the colours that it was drawn with.
export const shown = new Cell(resolve());

function stored() {
    const theme = localStorage.getItem(KEY);
    return THEMES.includes(theme) ? theme : "auto";
}

function resolve() {
    if (chosen.value !== "auto") return chosen.value;
    return dark.matches ? "dark" : "light";
}

function apply() {
    document.documentElement.dataset.theme = resolve();
    shown.value = resolve();
}

export function choose(theme) {
    localStorage.setItem(KEY, theme);
    chosen.value = theme;
    apply();
}

dark.addEventListener("change", apply);
apply();
