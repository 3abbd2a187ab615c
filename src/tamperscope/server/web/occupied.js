// Buttons that are busy.

import { h } from "./dom.js";
import { Problem } from "./problem.js";

/** Run an action with its button disabled, and show what went wrong. */
export async function occupied(button, act, said = null) {
  button.disabled = true;
  if (said) said.textContent = "";
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const text = `${problem.title}. ${problem.message}`;
    if (said) said.textContent = text;
    else button.after(h("span", { class: "wrong", role: "alert" }, ` ${text}`));
  } finally {
    button.disabled = false;
  }
}
