// Tries a profile on a payload: which readings it makes of it, and what is wrong with either.

import { html, useEffect, useRef, useState } from "vendor/htm-preact.js";
import { call } from "myaku/api.js";
import { Choice } from "myaku/choice.js";
import { full, metric as nameOf, unit, value } from "myaku/format.js";
import { reason } from "myaku/outcome.js";
import { refine } from "myaku/route.js";
import { named, t } from "myaku/text.js";
import { Title } from "myaku/title.js";

// The request of the form, or the words for what is wrong with the document.
export function request({ source, id, document, encoding, payload, topic }) {
    const body = { [encoding === "text" ? "payload" : "payloadBase64"]: payload };
    if (topic) body.topic = topic;
    if (source === "stored") return { ...body, profileId: id };
    return { ...body, profile: JSON.parse(document) };
}

export function Profiles({ query }) {
    const [form, setForm] = useState({ source: "stored", document: "", encoding: "text", payload: "", topic: "" });
    const [outcome, setOutcome] = useState(null);
    const [busy, setBusy] = useState(false);
    const running = useRef(null);
    useEffect(() => () => running.current?.abort(), []);
    const change = (part) => setForm((before) => ({ ...before, ...part }));
    const submit = async (event) => {
        event.preventDefault();
        running.current?.abort();
        const own = (running.current = new AbortController());
        setBusy(true);
        const found = await attempt({ ...form, id: query.id ?? "" }, own.signal);
        if (own.signal.aborted) return;
        setBusy(false);
        setOutcome(found);
    };
    const field = (name, label, rows) => html`<label for=${name}>${label}</label>
        <textarea id=${name} rows=${rows} spellcheck="false" value=${form[name]} onInput=${(event) => change({ [name]: event.target.value })}></textarea>`;
    return html`<${Title} text=${t("profiles.title")} />
        <p class="quiet">${t("profiles.lead")}</p>
        <div class="trial">
            <form class="card" onSubmit=${submit}>
                <${Choice} label=${t("profiles.source")} chosen=${form.source} choose=${(source) => change({ source })}
                    options=${[{ name: "stored", word: t("profiles.stored") }, { name: "pasted", word: t("profiles.pasted") }]} />
                ${
                    form.source === "stored"
                        ? html`<label for="profile">${t("profiles.id")}</label>
                              <input id="profile" spellcheck="false" autocomplete="off" value=${query.id ?? ""} onInput=${(event) => refine({ id: event.target.value })} />`
                        : field("document", t("profiles.document"), 12)
                }
                ${field("payload", t("profiles.payload"), 6)}
                <${Choice} label=${t("profiles.encoding")} chosen=${form.encoding} choose=${(encoding) => change({ encoding })}
                    options=${[{ name: "text", word: t("profiles.text") }, { name: "base64", word: t("profiles.base64") }]} />
                <label for="topic">${t("profiles.topic")}</label>
                <input id="topic" spellcheck="false" autocomplete="off" value=${form.topic} onInput=${(event) => change({ topic: event.target.value })} />
                <button class="button strong" disabled=${busy}>${t("profiles.go")}</button>
            </form>
            <section class="results" aria-live="polite" aria-busy=${String(busy)}>${outcome && html`<${Result} ...${outcome} />`}</section>
        </div>`;
}

// {answer} or {words, problems}.
async function attempt(form, signal) {
    let body;
    try {
        body = request(form);
    } catch (error) {
        return { words: t("profiles.json", { detail: error.message }), problems: [] };
    }
    try {
        return { answer: await call("v1/profiles/try", { method: "POST", body, signal }) };
    } catch (error) {
        return { words: error.problems?.length ? null : reason(error), problems: error.problems ?? [] };
    }
}

function Result({ answer, words, problems }) {
    if (!answer) {
        return html`<h2>${t("profiles.wrong")}</h2>
            ${words && html`<p class="problem">${words}</p>`}
            ${problems.length > 0 && html`<dl class="problems">${problems.map(({ field, message }) => html`<div><dt><code>${field}</code></dt><dd>${message}</dd></div>`)}</dl>`}`;
    }
    const { readings, rejected } = answer;
    return html`<h2>${t("profiles.readings")}</h2>
        ${
            readings.length
                ? html`<${Table} label=${t("profiles.readings")} heads=${["metric", "value", "unit", "at", "clock", "quality"]} rows=${readings.map((reading) => [
                      nameOf(reading.metric),
                      value(reading.value),
                      unit(reading.unit) || "–",
                      full(reading.at),
                      named("clock", reading.clock),
                      named("quality", reading.quality),
                  ])} />`
                : html`<p class="quiet">${t("profiles.noreadings")}</p>`
        }
        ${
            rejected.length > 0 &&
            html`<h2>${t("profiles.rejected")}</h2>
                <${Table} label=${t("profiles.rejected")} heads=${["index", "field", "reason", "detail"]}
                    rows=${rejected.map(({ index, field, reason: why, detail }) => [index ?? "–", field ?? "–", why, detail ?? "–"])} />`
        }`;
}

function Table({ label, heads, rows }) {
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
        <thead><tr>${heads.map((head) => html`<th scope="col" key=${head}>${t(`profiles.${head}`)}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr>${row.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}</tr>`)}</tbody>
    </table></div>`;
}
