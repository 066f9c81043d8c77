// Light, dark, or what the system has.

const CHOICES = ["system", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
export const themes = new EventTarget();

const chosen = () => (CHOICES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "system");

function apply() {
  const choice = chosen();
  const dark = choice === "dark" || (choice === "system" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  themes.dispatchEvent(new Event("change"));
}

/** Applies the choice, and makes the button change it. */
export function startThemes(button) {
  const label = () => (button.textContent = `Theme: ${chosen()}`);
  button.addEventListener("click", () => {
    localStorage.setItem("theme", CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length]);
    apply();
    label();
  });
  system.addEventListener("change", apply);
  apply();
  label();
}

/** The value of a colour of base.css now. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
