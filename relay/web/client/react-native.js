/** The React hooks with React Native's way to connect. */

import { connect } from "./native.js";
import { providerWith } from "./react.js";

export * from "./react.js";

export const RelayProvider = providerWith(connect);
