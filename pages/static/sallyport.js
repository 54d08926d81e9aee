// What pages may ask: see sallyport.d.ts. Every text comes from the page.
(() => {
"use strict";

const base = new URL("..", document.currentScript["src"]).pathname;
const all = (selector) => [...document.querySelectorAll(selector)];
const on = (target, event, act) => target?.addEventListener(event, act);
const PKC = window.PublicKeyCredential, supported = PKC && navigator.credentials;

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
	.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

// Options from their JSON; by hand where the browser cannot.
const options = (kind, json) => {
	const native = `parse${kind === "enroll" ? "Creation" : "Request"}OptionsFromJSON`;
	if (PKC[native]) return PKC[native](json);
	const list = (l) => l?.map((c) => ({ ...c, id: bytes(c.id) }));
	return {
		...json, challenge: bytes(json.challenge), user: json.user && { ...json.user, id: bytes(json.user.id) },
		allowCredentials: list(json.allowCredentials), excludeCredentials: list(json.excludeCredentials),
	};
};

// A credential as JSON; by hand where the browser, or a password manager in its place, cannot.
const plain = (c) => {
	try {
		return c.toJSON();
	} catch {
		const response = { transports: c.response.getTransports?.() };
		for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
			if (c.response[part]) response[part] = base64url(c.response[part]);
		}
		const { id, type } = c;
		return { id, rawId: id, type, response, clientExtensionResults: c.getClientExtensionResults() };
	}
};

// A page may have one call open. The next one ends it first.
let open;
const answer = async (kind, prompt, mediation) => {
	const stopper = new AbortController();
	const request = { publicKey: options(kind, prompt.publicKey), signal: stopper.signal, mediation };
	const start = () => navigator.credentials[kind === "enroll" ? "create" : "get"](request);
	open?.stop();
	const result = open ? open.ended.then(start) : start(); // some browsers want it within the click
	const mine = open = { stop: () => stopper.abort(), ended: result.then(() => {}, () => {}) };
	try {
		return plain(await result);
	} finally {
		if (open === mine) open = null;
	}
};

const reasons = {
	AbortError: "", InvalidStateError: "registered", SecurityError: "site", TimeoutError: "timeout",
	ConstraintError: "none", NotSupportedError: "none",
};
// Which text says what went wrong. Nobody cancels within 250 ms: the browser had nothing to ask.
const reason = ({ name }, took, timeout) => !supported ? "unsupported" : name !== "NotAllowedError" ? reasons[name] ?? "failed"
	: took < 250 ? "none" : took < timeout * 0.95 ? "cancelled" : "timeout";

const textOf = (place, why) => {
	const name = `data-sallyport-text-${why}`;
	return why && (place.closest(`[${name}]`)?.getAttribute(name) ?? place.dataset.sallyportTextFailed);
};

const tell = (place, text) => {
	let alert = place.querySelector("[data-sallyport-error]");
	if (!alert && text) {
		place.prepend(alert = document.createElement("p"));
		alert.className = "error";
		alert.setAttribute("role", "alert");
		alert.dataset.sallyportError = "";
	}
	if (alert) [alert.textContent, alert.hidden] = [text, !text];
};

// A prompt that nobody asked for comes once: not after a reload, a step back or an error.
const mayOffer = () => !document.hidden && document.hasFocus() &&
	performance.getEntriesByType("navigation")[0]?.["type"] === "navigate" && !all("[role=alert]").some((e) => e.textContent.trim());

// Our own forms: the passkey fills in the answer.
const passkeyForm = (form) => {
	const kind = form.dataset.sallyport, prompt = JSON.parse(form.dataset.sallyportPrompt), field = form.elements.answer;
	const ask = async (offered) => {
		const began = Date.now();
		tell(form);
		try {
			field.value = JSON.stringify(await answer(kind, prompt));
			form.requestSubmit();
		} catch (error) {
			if (!offered) tell(form, textOf(form, reason(error, Date.now() - began, prompt.publicKey.timeout)));
		}
	};
	on(form, "submit", (event) => {
		if (field.value) return;
		event.preventDefault();
		ask();
	});
	on(window, "pageshow", () => { field.value = ""; });
	if (!supported) tell(form, textOf(form, "unsupported"));
	else if (kind === "verify" && mayOffer()) ask("offered");
};

const post = async (place, body) => {
	const headers = { "Content-Type": "application/json" };
	const response = await fetch(base + place, { method: "POST", headers, body: JSON.stringify(body) });
	const json = await response.json();
	if (response.ok) return json;
	throw { problem: json, status: response.status };
};

// The site's own form: autofill and a button, beside the password.
const signIn = (place) => {
	const form = place.closest("form") ?? place;
	const input = place.matches("input") ? place
		: form.querySelector('[autocomplete~="username"], [name="username"], [type="email"], [type="text"]');
	const buttons = all("[data-sallyport-signin-button]");
	let begun, due = 0; // a ticket, and when to get the next
	let busy, sent; // the user has asked or answered; the form was sent
	let newest = 0; // call

	const fresh = async () => {
		if (!begun || Date.now() >= due) {
			begun = await post("signin/begin", {});
			const life = Date.parse(begun.expires) - Date.now(); // our clock may be wrong
			due = Date.now() + Math.min(Math.max(life - 60e3, 60e3), 480e3);
		}
		return begun;
	};

	const finish = async (ticket, proof) => {
		const { next } = await post("signin", { ticket, answer: proof, back: place.dataset.sallyportSignin || undefined });
		const to = new URL(next, location.href);
		location.assign(to.origin === location.origin ? to : "/");
	};

	const refused = ({ problem, status }) => {
		const absent = status === 404;
		begun = undefined;
		due = absent ? Infinity : Date.now() + 30e3;
		for (const b of buttons) b.hidden = absent;
		signal(problem.signal);
		return problem.detail ?? problem.title;
	};

	// What the server refuses is told; that nobody has or wants a passkey is not.
	const ask = async (mediation) => {
		if (busy || sent || mediation && (document.hidden || !input)) return;
		const mine = ++newest, began = Date.now();
		if (busy = !mediation) tell(form);
		try {
			if (mediation && !await PKC.isConditionalMediationAvailable()) return;
			const { ticket, prompt } = await fresh();
			if (sent || mine !== newest) return;
			const proof = await answer("verify", prompt, mediation);
			busy = true;
			await finish(ticket, proof);
		} catch (error) {
			const why = reason(error, Date.now() - began, Infinity);
			const text = error.problem ? refused(error) : /none|cancelled/.test(why) ? "" : textOf(form, why);
			if (mine !== newest) return;
			if (busy) tell(form, text);
			busy = false;
			if (!mediation && !error.problem) autofill();
		}
	};
	const autofill = () => ask("conditional");
	const renew = () => { if (Date.now() >= due) autofill(); };
	const again = () => { sent = false; if (!open) autofill(); };

	const offers = input?.autocomplete.replace(/^(on|off)$/, "") || "username";
	if (input && !/webauthn/.test(offers)) input.autocomplete = `${offers} webauthn`;
	for (const b of buttons) {
		b.hidden = false;
		on(b, "click", (event) => { event.preventDefault(); sent = false; ask(); });
	}
	on(form, "submit", () => { sent = true; open?.stop(); });
	on(input, "focus", () => { if (sent) again(); });
	on(window, "pageshow", (event) => { if (event.persisted) again(); });
	on(document, "visibilitychange", renew);
	setInterval(renew, 30e3);
	autofill();
};

const signal = (values) => {
	for (const [name, list] of Object.entries(values ?? {})) {
		const method = "signal" + name[0].toUpperCase() + name.slice(1);
		for (const value of [list].flat()) {
			Promise.resolve().then(() => PKC[method]?.(value)).catch(() => {});
		}
	}
};

const lines = (selector) => all(`${selector} code`).map((e) => e.textContent + "\n").join("");

const buttons = (name, act) => {
	for (const b of all(`[data-sallyport-${name}]`)) {
		b.hidden = false;
		on(b, "click", async () => {
			try {
				await act(b.dataset);
			} catch {
				return; // what it is about can still be read
			}
			for (const said of all("[data-sallyport-said]")) said.textContent = b.dataset.done ?? "";
		});
	}
};

if (navigator.clipboard) buttons("copy", (data) => navigator.clipboard.writeText(lines(data.sallyportCopy)));
buttons("print", () => window.print());
buttons("download", ({ sallyportDownload, filename, heading }) => {
	const text = `${heading}\n\n${lines(sallyportDownload)}`;
	const href = URL.createObjectURL(new Blob([text])); // a data: address would be kept, codes and all
	Object.assign(document.createElement("a"), { href, download: filename }).click();
});

// A wait counts down. Screen readers hear its beginning and its end only.
for (const place of all("[data-sallyport-seconds]")) {
	const end = Date.now() + place.dataset.sallyportSeconds * 1000;
	if (end > Date.now() + 120e3) continue;
	const timer = setInterval(() => {
		const left = Math.ceil((end - Date.now()) / 1000);
		place.ariaLive = left > 0 ? "off" : "polite";
		place.textContent = left > 0 ? place.textContent.replace(/\d+/, left) : place.dataset.done;
		if (left <= 0) clearInterval(timer);
	}, 1000);
}

for (const e of all("[data-sallyport-signal]")) signal(JSON.parse(e.dataset.sallyportSignal));
all("form[data-sallyport]").forEach(passkeyForm);
if (supported) all("[data-sallyport-signin]").forEach(signIn);

// A form is sent once, also by a double click. What was stopped above was not sent.
for (const form of all("form[data-sallyport-once]")) {
	let sent;
	on(form, "submit", (event) => {
		if (sent) event.preventDefault();
		sent ||= !event.defaultPrevented;
	});
	on(window, "pageshow", () => { sent = false; });
}

/** @type {Sallyport.API} */
const api = { answer, signal };
Object.assign(window, { sallyport: api });
})();
