// Signing in with a token that was pasted.

import { html, useState } from "vendor/htm-preact.js";
import { useCell } from "myaku/cell.js";
import { ended, signIn } from "myaku/session.js";
import { t } from "myaku/text.js";
import { Title } from "myaku/title.js";

export function SignIn() {
    const [text, setText] = useState("");
    const [empty, setEmpty] = useState(false);
    const why = useCell(ended);
    const submit = (event) => {
        event.preventDefault();
        if (text.trim()) signIn(text);
        else setEmpty(true);
    };
    const problem = empty ? t("signin.empty") : why && t(`signin.${why}`);
    return html`<form class="signin card" onSubmit=${submit}>
        <${Title} text=${t("signin.title")} />
        <p class="quiet">${t("signin.lead")}</p>
        ${problem && html`<p class="problem" id="signin-problem" role="alert">${problem}</p>`}
        <label for="token">${t("signin.token")}</label>
        <input id="token" type="password" autocomplete="off" spellcheck="false" value=${text} aria-describedby=${problem ? "signin-problem" : null}
            onInput=${(event) => setText(event.target.value)} />
        <button class="button strong">${t("signin.go")}</button>
    </form>`;
}
