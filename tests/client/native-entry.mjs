// What a React Native app would import, for the bundle that is tested.
export * from "@payment-relay/client";
export * from "@payment-relay/client/list";
