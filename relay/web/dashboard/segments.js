// A row of buttons of which one is pressed.

import { attribute, h } from "./dom.js";

/** Fill `parent` with a button for each [value, label]. Returns a function that presses another one. */
export function segments(parent, options, value, choose) {
  const buttons = options.map(([name, label]) => {
    const pressed = () => {
      press(name);
      choose(name);
    };
    return [name, h("button", { type: "button", class: "segment", data: { value: name }, onclick: pressed }, label)];
  });
  const press = (wanted) =>
    buttons.forEach(([name, button]) => attribute(button, "aria-pressed", String(name === wanted)));
  parent.replaceChildren(...buttons.map(([, button]) => button));
  press(value);
  return press;
}
