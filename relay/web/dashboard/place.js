// Where the relay is: where this page came from, also behind a proxy that puts it below a path.

export function relay(place = location) {
  const scheme = place.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${place.host}${place.pathname.replace(/[^/]*$/, "")}ws/payment-monitoring/`;
}
