// Elements from plain values. Text goes in as text, never as markup, whatever it holds.

/** An element. `props`: attributes; `on*` are listeners, `class` is the class, false and undefined leave an attribute out. */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets the text of an element, only if it changed: screen readers tell changes. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A key, on one line; its whole text is the title. */
export function key(text, whole = false) {
  return h("span", { class: whole ? "key whole" : "key", title: text }, text);
}

/** Copies text to the clipboard, where the browser allows it. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = h("textarea", {}, text);
  document.body.append(field);
  field.select();
  document.execCommand("copy"); // pages that are not loaded from this machine over HTTP have no clipboard
  field.remove();
}

/** A command with a button that copies it. */
export function command(text) {
  const button = h("button", { type: "button", "aria-label": `Copy the command ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    await copy(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return h("span", { class: "command" }, h("code", {}, text), button);
}
