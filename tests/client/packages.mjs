// Lets the client, which has no packages of its own, find those of the tests.
import { register } from "node:module";

const hook = `
export async function resolve(name, context, next) {
  const ours = /^[a-z]/.test(name) && String(context.parentURL).includes("/relay/web/client/");
  return next(name, ours ? { ...context, parentURL: ${JSON.stringify(import.meta.url)} } : context);
}`;
register("data:text/javascript," + encodeURIComponent(hook));
