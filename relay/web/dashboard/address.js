// What the address says: a token, which is taken out at once, and how the reader wants to see the list.
//
// Both stand in the fragment, which browsers send to no server: what somebody searches for is often an e-mail
// address, and a query would leave it in every log on the way.

/** The token in the address, or "". It is removed from the address and from the history entry. */
export function takeToken(place = location, past = history) {
  const settings = new URLSearchParams(place.hash.slice(1));
  const token = settings.get("token");
  if (token === null) return "";
  settings.delete("token");
  write(settings, place, past);
  return token.trim();
}

/** The settings in the address, as a plain object of strings. */
export function readSettings(place = location) {
  const settings = Object.fromEntries(new URLSearchParams(place.hash.slice(1)));
  delete settings.token;
  return settings;
}

/** Put settings into the address; those that are empty are left out, so a page as it comes has a clean address. */
export function writeSettings(settings, place = location, past = history) {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) if (value) kept.set(name, value);
  write(kept, place, past);
}

function write(settings, place, past) {
  const fragment = settings.toString();
  const wanted = place.pathname + place.search + (fragment ? `#${fragment}` : "");
  // replaceState, not pushState: every keystroke in the search field would be a step back.
  if (wanted !== place.pathname + place.search + place.hash) past.replaceState(past.state, "", wanted);
}
