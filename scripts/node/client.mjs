#!/usr/bin/env node
// An example of a Twirp client: prints the user behind a session token.
//
//   npm ci && npm run generate          once, and after a change of proto/
//   node client.mjs TOKEN               protobuf on the wire
//   node client.mjs --json TOKEN        JSON on the wire
//
// DATABASE_SERVICE_URL overrides the server's URL; the default is http://127.0.0.1:50052/twirp.
// In TypeScript the code is the same: gen/ has declarations for every message and client.
import { TwirpFetchTransport } from "@protobuf-ts/twirp-transport";
import { UserServiceClient } from "./gen/osirose/database/v1/user.client.js";
import { User } from "./gen/osirose/database/v1/user.js";

const args = process.argv.slice(2);
const sendJson = args[0] === "--json";
if (sendJson) args.shift();
if (args.length !== 1) {
  console.error("usage: node client.mjs [--json] TOKEN");
  process.exit(2);
}

const users = new UserServiceClient(
  new TwirpFetchTransport({
    baseUrl: process.env.DATABASE_SERVICE_URL ?? "http://127.0.0.1:50052/twirp",
    sendJson,
  }),
);

try {
  // The transport ignores its `timeout` option. Only an abort signal ends a call early.
  const { response } = await users.getUserBySession(
    { session: { oneofKind: "token", token: args[0] } },
    { abort: AbortSignal.timeout(2000) },
  );
  // A missing message is undefined. A time is a Timestamp and an int64 a bigint, which JSON.stringify cannot encode.
  console.log(User.toJsonString(response.user, { prettySpaces: 2 }));
  console.log(`session ${response.session.id} ends in ${response.session.expiresInSeconds} s`);
} catch (err) {
  // In an RpcError, code is Twirp's code, and meta.reason is one of the errors in the .proto.
  console.error(`${err.code ?? err.name}${err.meta?.reason ? ` (${err.meta.reason})` : ""}: ${err.message}`);
  process.exitCode = 1;
}
