// Calls of the service. Every answer is JSON; an error has a reason, a message and, of a bad field, its name, value and limit.

export class CallFailed extends Error {
  constructor(status, body) {
    super(body.message || `the service answered ${status}`);
    this.status = status;
    this.reason = body.reason || "";
    this.field = body.field || "";
  }
}

async function answered(promise) {
  let response;
  try {
    response = await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallFailed(0, { reason: "UNREACHABLE", message: "The service does not answer." });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new CallFailed(response.status, body);
  return body;
}

const post = (path, body, signal) =>
  answered(fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal }));

/** A call of dstk.v1.Metrics. */
export const call = (method, request = {}, signal = undefined) => post(`/api/v1/${method}`, request, signal);

/** Another call that only reads. */
export const get = (path, signal = undefined) => answered(fetch(path, { signal }));

/** Texts as keys in base64. Throws CallFailed for text that is no key. */
export const parseKeys = (texts) => post("/api/keys/parse", texts);

const MOST_KEYS = 2048;
const MOST_KNOWN = 20_000;
const known = new Map([["", ""]]);

/** Makes the texts of keys known, for `keyText`. */
export async function learnKeys(keys) {
  if (known.size > MOST_KNOWN) known.clear();
  known.set("", "");
  const unknown = [...new Set(keys)].filter((each) => !known.has(each));
  for (let at = 0; at < unknown.length; at += MOST_KEYS) {
    const some = unknown.slice(at, at + MOST_KEYS);
    const texts = await post("/api/keys/display", some);
    some.forEach((each, number) => known.set(each, texts[number]));
  }
}

/** The text of a key, as `dstk` writes it. */
export const keyText = (encoded) => known.get(encoded) ?? "";

/** A range as text. */
export const rangeText = (start, end) => `${keyText(start) || "first key"} … ${keyText(end) || "last key"}`;

/** A base64 key as a string that sorts like its bytes. */
export const sortable = (encoded) => atob(encoded);
