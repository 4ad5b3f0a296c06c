// The texts of the page in the reader's language.

import { Cell } from "myaku/cell.js";
import { STRINGS } from "myaku/strings.js";

const KEY = "myaku.language";

export const LANGUAGES = { en: "English", ja: "日本語" };

// The first of `preferred` (as in navigator.languages) that the page speaks, else English.
export function pick(stored, preferred) {
    const wanted = [stored, ...preferred].filter(Boolean).map((tag) => tag.slice(0, 2).toLowerCase());
    return wanted.find((tag) => tag in LANGUAGES) ?? "en";
}

export const language = new Cell(pick(localStorage.getItem(KEY), navigator.languages ?? [navigator.language]));
document.documentElement.lang = language.value;

export function speak(tag) {
    localStorage.setItem(KEY, tag);
    document.documentElement.lang = tag;
    language.value = tag;
}

// The form of "one|other" that the language uses for a count.
function form(text, count) {
    const [one, other = one] = text.split("|");
    return new Intl.PluralRules(language.value).select(count) === "one" ? one : other;
}

// The text of a key, with `{name}` filled in from `values`. Numbers are written as the language does.
export function t(key, values = {}) {
    const text = STRINGS[key]?.[language.value];
    if (text === undefined) throw new Error(`no text for ${key}`);
    const chosen = typeof values.count === "number" ? form(text, values.count) : text;
    return chosen.replace(/\{(\w+)\}/g, (_, name) => {
        const value = values[name];
        return typeof value === "number" ? value.toLocaleString(language.value) : String(value);
    });
}

// The text of a name that the server sends, as `kind.threshold`. A name that the page does not know is shown as it is.
export function named(group, name) {
    const text = STRINGS[`${group}.${name}`]?.[language.value];
    return text ?? String(name).replaceAll("_", " ");
}
