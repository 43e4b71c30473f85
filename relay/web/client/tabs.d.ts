/** One connection for all tabs of a browser. */
import type { ConnectOptions, RelayClient } from "./index.js";

/**
 * As `connect()`, but tabs that would open the same connection (same address, subject and claims) share one: one tab
 * leads and the others hear through it, and `status.transport` is `shared` there. Without Web Locks or BroadcastChannel
 * each tab has its own.
 */
export function connectShared(options: ConnectOptions): RelayClient;
