// As much of React Native as the client uses.
export const changes = new Set();
globalThis.appBecomes = (state) => changes.forEach((listener) => listener(state));
export const AppState = {
  addEventListener(_, listener) {
    changes.add(listener);
    return { remove: () => changes.delete(listener) };
  },
};
