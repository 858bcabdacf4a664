#!/usr/bin/env node
// Runs the real better-auth for tests: its own code creates, changes and revokes users and sessions.
//
// Each line on stdin is a request: a JSON array of a name and an object. Each request gets one line on stdout, in
// order:
//   ["signUp",{"email":"a@b.example","password":"long enough","name":"A"}]
//   {"ok":true,"value":{"token":"...","session":{...},"user":{...}}}   or   {"ok":false,"error":"STATUS CODE: message"}
// The first line on stdout is {"ready":true}. The program ends at the end of stdin. better-auth's log goes to stderr.
//
//   migrate                                            {created, altered}: names of tables
//   signUp          email password name [username displayUsername image ip userAgent]    {token, session, user}
//   signIn          email password [ip userAgent]      {token, session, user}
//   signInUsername  username password [ip userAgent]   {token, session, user}
//   updateUser      token [name username displayUsername image]                          {user}
//   changeEmail     token newEmail                     {user}
//   signOut         token                              {success}
//   revokeSession   token [by]                         {status}; by is another token of that user; default: token
// itself
//   revokeSessions  userId                             {success}
//   ban             userId [reason seconds]            {user}; better-auth also deletes the user's sessions
//   unban           userId                             {user}
//   setRole         userId role                        {user}; role is a name or a list of names
//   impersonate     userId                             {token, session, user}
//   removeUser      userId                             {success}
//   getSession      token [refresh]                    null or {session, user}; deletes an expired row, as better-auth does;
//                                                      with refresh true better-auth may extend the session. With
// bearer
//                                                      instead of token, the bearer plugin gets the value unchanged.
//   signedToken     token                              {plain, encoded}: "token.signature", unchanged and as in the
// cookie
//   age             token seconds                      {expiresAt}; SQL moves it back, because better-auth has no call
// for that
//
// Requests with a userId act as the administrator "better-auth-driver@example.com", who is created on first use.
//
//   DATABASE_URL         PostgreSQL (required)
//   BETTER_AUTH_SECRET   signs the cookies (required)
//   BA_SCHEMA            plugins  plugins username, admin and bearer; text ids, camelCase columns (default)
//                        core     no plugins: no usernames, roles, bans or administrator
//                        snake    plugins, with plural tables and snake_case columns
//                        uuid     plugins, with uuid ids
//                        serial   plugins, with integer ids
//   BA_USERNAMES         how the username plugin normalizes: lower (default: better-auth's own), none or upper
//   BA_SESSION_TOKENS    plain (default: better-auth's own) or sha256: the session table has sha256(token) in hex
//   BA_PASSWORD_HASH     fast (default: one SHA-256) or scrypt (better-auth's own)
//   TZ                   the zone in which node-postgres writes times to columns of type `timestamp` without zone
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { betterAuth } from "better-auth";
import { makeSignature } from "better-auth/crypto";
import { getAdapter } from "better-auth/db/adapter";
import { getMigrations } from "better-auth/db/migration";
import { admin, bearer, username } from "better-auth/plugins";
import pg from "pg";

// better-auth reads these in addition to its options: the first turns telemetry on, the second replaces the secret.
delete process.env.BETTER_AUTH_TELEMETRY;
delete process.env.BETTER_AUTH_SECRETS;

const env = (name, fallback) => {
  const value = process.env[name] || fallback;
  if (!value) throw new Error(`${name} is not set`);
  return value;
};
const oneOf = (name, values) => {
  const value = env(name, values[0]);
  if (!values.includes(value)) throw new Error(`${name} is ${value}, want one of ${values.join(", ")}`);
  return value;
};

const secret = env("BETTER_AUTH_SECRET");
const schema = oneOf("BA_SCHEMA", ["plugins", "core", "snake", "uuid", "serial"]);
const usernames = oneOf("BA_USERNAMES", ["lower", "none", "upper"]);
const tokens = oneOf("BA_SESSION_TOKENS", ["plain", "sha256"]);
const hashing = oneOf("BA_PASSWORD_HASH", ["fast", "scrypt"]);

const snakeCase = (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
// Options of a table, or of a plugin's part of it; empty except in the schema "snake".
const columns = (...names) => (schema === "snake" ? { fields: Object.fromEntries(names.map((n) => [n, snakeCase(n)])) } : {});
const table = (modelName, ...names) => (schema === "snake" ? { modelName, ...columns(...names) } : {});

const plugins = [
  username({
    schema: { user: columns("displayUsername") },
    ...(usernames === "none" && { usernameNormalization: false }),
    ...(usernames === "upper" && { usernameNormalization: (name) => name.toUpperCase() }),
  }),
  admin({ schema: { user: columns("banReason", "banExpires"), session: columns("impersonatedBy") } }),
  bearer(),
];
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const storedToken = (token) => (tokens === "sha256" ? sha256(token) : token);

const pool = new pg.Pool({ connectionString: env("DATABASE_URL"), max: 4 });
pool.on("error", (err) => console.error(`idle connection: ${err.message}`));

const options = {
  appName: "database-service tests",
  baseURL: "http://127.0.0.1:3000", // only a name: no server is needed there
  secret,
  database: pool,
  plugins: schema === "core" ? [] : plugins,
  user: {
    ...table("users", "emailVerified", "createdAt", "updatedAt"),
    changeEmail: { enabled: true, updateEmailWithoutVerification: true },
  },
  session: table("sessions", "expiresAt", "createdAt", "updatedAt", "ipAddress", "userAgent", "userId"),
  account: table(
    "accounts", "accountId", "providerId", "userId", "accessToken", "refreshToken", "idToken",
    "accessTokenExpiresAt", "refreshTokenExpiresAt", "createdAt", "updatedAt",
  ),
  verification: table("verifications", "expiresAt", "createdAt", "updatedAt"),
  emailAndPassword: {
    enabled: true,
    ...(hashing === "fast" && {
      password: { hash: async (p) => sha256(p), verify: async ({ hash, password }) => hash === sha256(password) },
    }),
  },
  advanced: { database: schema === "uuid" || schema === "serial" ? { generateId: schema } : {} },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: "error", log: (level, message, ...rest) => console.error(`better-auth ${level}: ${message}`, ...rest) },
};

// Stores the hashes of tokens. better-auth has no option for that, and the hook session.create.before cannot do it: better-auth
// gives its client the token that the row has, which then is the hash, and looks up what the client sends as it is. So the
// adapter hashes tokens on their way to the table, and gives better-auth back the token that it has asked for.
function hashingTokens(adapter) {
  const call = (method) => async (args) => {
    if (args.model !== "session") return adapter[method](args);
    const clear = new Map();
    const stored = (token) => clear.set(storedToken(token), token) && storedToken(token);
    const hashed = { ...args };
    if (args.where) {
      hashed.where = args.where.map((w) =>
        w.field === "token" ? { ...w, value: Array.isArray(w.value) ? w.value.map(stored) : stored(w.value) } : w,
      );
    }
    for (const part of ["data", "update"]) {
      if (args[part]?.token) hashed[part] = { ...args[part], token: stored(args[part].token) };
    }
    const inClear = (row) => (clear.has(row?.token) ? { ...row, token: clear.get(row.token) } : row);
    const found = await adapter[method](hashed);
    return Array.isArray(found) ? found.map(inClear) : inClear(found);
  };
  const methods = ["create", "findOne", "findMany", "count", "update", "updateMany", "delete", "deleteMany"];
  return {
    ...adapter,
    ...Object.fromEntries(methods.map((method) => [method, call(method)])),
    transaction: (run) => adapter.transaction((inside) => run(hashingTokens(inside))),
  };
}

const adapter = tokens === "sha256" && hashingTokens(await getAdapter(options));
const auth = betterAuth(adapter ? { ...options, database: () => adapter } : options);
const context = await auth.$context;

async function signedToken({ token }) {
  const plain = `${token}.${await makeSignature(token, secret)}`;
  return { plain, encoded: encodeURIComponent(plain) };
}

// The headers that a browser with this session sends.
const cookieOf = async (token) =>
  new Headers({ cookie: `${context.authCookies.sessionToken.name}=${(await signedToken({ token })).encoded}` });

const device = ({ ip, userAgent }) => {
  const headers = new Headers();
  if (ip) headers.set("x-forwarded-for", ip);
  if (userAgent) headers.set("user-agent", userAgent);
  return headers;
};

async function getSession({ token, bearer: credential, refresh = false }) {
  const headers = token ? await cookieOf(token) : new Headers({ authorization: `Bearer ${credential}` });
  return auth.api.getSession({ headers, query: refresh ? {} : { disableRefresh: true } });
}

const signedIn = async ({ token }) => ({ token, ...(await getSession({ token })) });
const userOf = async (token) => ({ user: (await getSession({ token })).user });

const root = { email: "better-auth-driver@example.com", password: "better-auth-driver" };

// Signs the administrator in for one call and out again, so that no session remains.
async function asAdmin(call) {
  if (schema === "core") throw new Error("the schema core has no admin plugin");
  if (!(await context.internalAdapter.findUserByEmail(root.email))) {
    const body = { ...root, name: "Driver", role: "admin", data: { username: "better_auth_driver" } };
    await auth.api.createUser({ body });
  }
  const headers = await cookieOf((await auth.api.signInEmail({ body: root })).token);
  try {
    return await call(headers);
  } finally {
    await auth.api.signOut({ headers });
  }
}

const operations = {
  async migrate() {
    const plan = await getMigrations(options);
    await plan.runMigrations();
    return { created: plan.toBeCreated.map((t) => t.table), altered: plan.toBeAdded.map((t) => t.table) };
  },

  async signUp({ ip, userAgent, ...body }) {
    return signedIn(await auth.api.signUpEmail({ body, headers: device({ ip, userAgent }) }));
  },
  async signIn({ ip, userAgent, ...body }) {
    return signedIn(await auth.api.signInEmail({ body, headers: device({ ip, userAgent }) }));
  },
  async signInUsername({ ip, userAgent, ...body }) {
    if (schema === "core") throw new Error("the schema core has no username plugin");
    return signedIn(await auth.api.signInUsername({ body, headers: device({ ip, userAgent }) }));
  },

  async updateUser({ token, ...body }) {
    await auth.api.updateUser({ body, headers: await cookieOf(token) });
    return userOf(token);
  },
  async changeEmail({ token, ...body }) {
    await auth.api.changeEmail({ body, headers: await cookieOf(token) });
    return userOf(token);
  },

  signOut: async ({ token }) => auth.api.signOut({ headers: await cookieOf(token) }),
  revokeSession: async ({ token, by = token }) => auth.api.revokeSession({ body: { token }, headers: await cookieOf(by) }),

  revokeSessions: ({ userId }) => asAdmin((headers) => auth.api.revokeUserSessions({ body: { userId }, headers })),
  ban: ({ userId, reason, seconds }) =>
    asAdmin((headers) => auth.api.banUser({ body: { userId, banReason: reason, banExpiresIn: seconds }, headers })),
  unban: ({ userId }) => asAdmin((headers) => auth.api.unbanUser({ body: { userId }, headers })),
  setRole: ({ userId, role }) => asAdmin((headers) => auth.api.setRole({ body: { userId, role }, headers })),
  removeUser: ({ userId }) => asAdmin((headers) => auth.api.removeUser({ body: { userId }, headers })),
  async impersonate({ userId }) {
    const { session, user } = await asAdmin((headers) => auth.api.impersonateUser({ body: { userId }, headers }));
    return { token: session.token, session, user };
  },

  getSession,
  signedToken,

  async age({ token, seconds }) {
    const [name, column] = schema === "snake" ? ["sessions", "expires_at"] : ["session", '"expiresAt"'];
    const { rows } = await pool.query(
      `UPDATE ${name} SET ${column} = ${column} - make_interval(secs => $2) WHERE token = $1 RETURNING ${column} AS at`,
      [storedToken(token), seconds],
    );
    if (rows.length === 0) throw new Error("no session has that token");
    return { expiresAt: rows[0].at };
  },
};

// Returns an error of better-auth as "STATUS CODE: message", and any other error as its message.
function describe(err) {
  if (!err.body) return err.message;
  return `${[err.status, err.body.code].filter(Boolean).join(" ")}: ${err.body.message ?? err.message}`;
}

async function answer(line) {
  try {
    const [name, args = {}] = JSON.parse(line);
    if (!Object.hasOwn(operations, name)) throw new Error(`no operation ${name}`);
    return { ok: true, value: (await operations[name](args)) ?? null };
  } catch (err) {
    return { ok: false, error: describe(err) };
  }
}

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

try {
  await pool.query("SELECT 1");
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim()) say(await answer(line));
  }
} finally {
  await pool.end();
}
