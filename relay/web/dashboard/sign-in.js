// Signing in with a token, and being told why that is necessary.

import { $, text, toggle } from "./dom.js";

export class SignIn {
  /** `use(token)` is called with what was entered. */
  constructor(use) {
    $("sign-in").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = $("token");
      const token = field.value.trim();
      field.value = "";
      toggle($("sign-in"), false);
      if (token) use(token);
    });
  }

  /** Show the form, with the reason why. */
  offer(why) {
    toggle($("sign-in-why"), Boolean(why));
    text($("sign-in-why"), why);
    if (!$("sign-in").hidden) return;
    toggle($("sign-in"), true);
    $("token").focus();
  }

  status({ state, error }) {
    if (state === "signed-out") this.offer(explain(error));
    // Connected, and nobody is typing a fresh token: the form has done its work.
    else if (state === "live" && !$("token").value && document.activeElement !== $("token"))
      toggle($("sign-in"), false);
  }
}

/** Why one is signed out, and what to do, in one or two sentences. */
export function explain(error) {
  switch (error?.code) {
    case undefined:
    case "no_token":
      return "You are signed out. Give a token to see payments.";
    case "token_expired":
      return "Your token has expired. Give a fresh one to go on where you were.";
    case "token_revoked":
      return "Your access was withdrawn. Ask whoever gave it, then sign in again.";
    case "forbidden":
      return "This token is good, but no policy of the relay lets it see payments. Ask an operator.";
    case "subject_changed":
      return "That token is somebody else's. Reload the page to sign in as another person.";
    case "token_invalid":
    case "token_missing":
    case "token_refused":
      return `The relay does not accept this token: ${error.message}. Check that all of it was copied.`;
    default:
      return error.message;
  }
}
