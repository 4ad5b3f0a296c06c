// Numbers, times and ages as people read them. Times are in the zone of the viewer, and say their offset.

import { language, named, t } from "myaku/text.js";

// A value of a metric, without its unit: a number, a text, a truth or a position.
export function value(given) {
    if (given === null || given === undefined) return t("value.none");
    if (typeof given === "number") return number(given);
    if (typeof given === "boolean") return t(given ? "value.yes" : "value.no");
    return typeof given === "string" ? given : JSON.stringify(given);
}

// A number with the decimals that are asked for, else with as many as matter beside its size.
export function number(given, decimals) {
    const size = Math.abs(given);
    const most = decimals ?? (size >= 100 ? 0 : size >= 10 ? 1 : 2);
    return given.toLocaleString(language.value, { minimumFractionDigits: decimals ?? 0, maximumFractionDigits: most });
}

// A unit as it is read: "1/min" is how the field writes "per minute".
export function unit(given) {
    return given === "1" || !given ? "" : given.replace(/^1\//, "/");
}

export function metric(name) {
    return named("metric", name);
}

// A length of time in its largest whole unit. `ms` below zero counts as none.
export function age(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return t("age.s", { count: s });
    if (s < 3600) return t("age.min", { count: Math.floor(s / 60) });
    if (s < 86_400) return t("age.h", { count: Math.floor(s / 3600) });
    return t("age.d", { count: Math.floor(s / 86_400) });
}

// The offset of the viewer's zone at a time, as "UTC+09:00".
export function offset(ms) {
    const minutes = -new Date(ms).getTimezoneOffset();
    const digits = (part) => String(part).padStart(2, "0");
    const size = Math.abs(minutes);
    return `UTC${minutes < 0 ? "−" : "+"}${digits(Math.floor(size / 60))}:${digits(size % 60)}`;
}

export function zone() {
    return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const STYLES = {
    clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
    moment: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    day: { month: "short", day: "numeric" },
    month: { year: "numeric", month: "short" },
};
const formats = new Map();

// A time in one of the styles: "clock" (14:02:33), "moment" (1 Dec, 14:02), "minute", "day", "month".
export function time(ms, style) {
    const key = `${language.value} ${style}`;
    // Day before month in English, as most of the world writes it.
    const locale = language.value === "en" ? "en-GB" : language.value;
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, STYLES[style]));
    return formats.get(key).format(ms);
}

// A time with its offset: "1 Dec, 14:02 (UTC+09:00)".
export function full(ms) {
    return `${time(ms, "moment")} (${offset(ms)})`;
}
