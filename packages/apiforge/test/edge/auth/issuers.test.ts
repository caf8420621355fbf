import { beforeAll, expect, test } from "vitest";

import { createTokenVerifier, issuers, type TrustedIssuer } from "../../../src/edge/index.ts";
import { ManualClock } from "../edge-harness.ts";
import { signingKey, type SigningKey } from "./token-fixture.ts";

const clock = new ManualClock();
const iat = clock.now() / 1_000;
const times = { iat, exp: iat + 60 };
let key: SigningKey;

beforeAll(async () => {
  key = await signingKey("RS256", "k1");
});

/** Plays the issuer: publishes the key where, and only where, its documentation says. */
async function verify(trusted: TrustedIssuer, address: string, claims: object) {
  const verifier = createTokenVerifier({
    issuers: [trusted],
    clock,
    fetch: async (url) =>
      url === address ? Response.json({ keys: [key.jwk] }) : new Response(null, { status: 404 }),
  });
  const token = await key.sign({ ...times, ...claims }, { typ: "JWT" });
  return (await verifier.verify(token)).principal;
}

const auth0Claims = {
  iss: "https://acme.eu.auth0.com/",
  aud: ["https://api.acme.test", "https://acme.eu.auth0.com/userinfo"],
  sub: "auth0|123",
  azp: "client",
  org_id: "org_1",
  scope: "openid read:things",
  permissions: ["read:things", "write:things"],
  "https://acme.test/roles": ["member", "admin"],
};
const auth0 = issuers.auth0({
  domain: "acme.eu.auth0.com",
  audience: "https://api.acme.test",
  claims: { role: "https://acme.test/roles", roleOrder: ["admin", "member"] },
});
const clerkClaims = {
  iss: "https://clerk.acme.test",
  azp: "https://app.acme.test",
  sub: "user_1",
  sid: "sess_1",
  v: 2,
  fva: [1, -1],
  o: { id: "org_1", rol: "admin", slg: "acme", per: "read" },
};
const clerk = issuers.clerk({
  frontendApi: "clerk.acme.test",
  authorizedParties: ["https://app.acme.test"],
});
const cognitoClaims = {
  iss: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc",
  client_id: "app1",
  token_use: "access",
  sub: "6d2f",
  username: "priya",
  scope: "aws.cognito.signin.user.admin things/read",
  "cognito:groups": ["member", "admin"],
};
const cognito = issuers.cognito({
  region: "eu-west-1",
  userPoolId: "eu-west-1_abc",
  clientIds: ["app1"],
  tenant: { constant: "ten_acme" },
  groups: ["admin", "member"],
});
const firebaseClaims = {
  iss: "https://securetoken.google.com/acme-1",
  aud: "acme-1",
  sub: "uid1",
  user_id: "uid1",
  email: "a@b.c",
  role: "driver",
  firebase: { tenant: "ten_1", sign_in_provider: "password", identities: {} },
};
const firebase = issuers.firebase({ projectId: "acme-1" });
const googleClaims = {
  iss: "https://accounts.google.com",
  aud: "1.apps.googleusercontent.com",
  azp: "1.apps.googleusercontent.com",
  sub: "1100",
  hd: "acme.test",
  email: "a@acme.test",
  at_hash: "x",
};
const google = issuers.google({
  clientId: "1.apps.googleusercontent.com",
  domains: ["acme.test"],
});

const cases: [string, TrustedIssuer, string, object, object][] = [
  [
    "Auth0",
    auth0,
    "https://acme.eu.auth0.com/.well-known/jwks.json",
    auth0Claims,
    { tenant: "org_1", role: "admin", scopes: ["openid", "read:things", "write:things"] },
  ],
  [
    "Clerk",
    clerk,
    "https://clerk.acme.test/.well-known/jwks.json",
    clerkClaims,
    { tenant: "org_1", role: "admin" },
  ],
  [
    "Cognito",
    cognito,
    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc/.well-known/jwks.json",
    cognitoClaims,
    { tenant: "ten_acme", role: "admin", scopes: ["aws.cognito.signin.user.admin", "things/read"] },
  ],
  [
    "Firebase",
    firebase,
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    firebaseClaims,
    { tenant: "ten_1", role: "driver", email: "a@b.c" },
  ],
  [
    "Google",
    google,
    "https://www.googleapis.com/oauth2/v3/certs",
    googleClaims,
    { tenant: "acme.test", email: "a@acme.test" },
  ],
];

test.each(cases)("%s: its claims become a principal", async (_name, trusted, url, claims, who) => {
  expect(await verify(trusted, url, claims)).toMatchObject(who);
});

test.each<[string, TrustedIssuer, string, object]>([
  ["Auth0's token for another API", auth0, cases[0]?.[2] ?? "", { ...auth0Claims, aud: "other" }],
  [
    "Clerk's session of another site",
    clerk,
    cases[1]?.[2] ?? "",
    { ...clerkClaims, azp: "https://evil.test" },
  ],
  [
    "Clerk's session without a party",
    clerk,
    cases[1]?.[2] ?? "",
    { ...clerkClaims, azp: undefined },
  ],
  ["Cognito's ID token", cognito, cases[2]?.[2] ?? "", { ...cognitoClaims, token_use: "id" }],
  ["Cognito's other client", cognito, cases[2]?.[2] ?? "", { ...cognitoClaims, client_id: "app2" }],
  ["Firebase's other project", firebase, cases[3]?.[2] ?? "", { ...firebaseClaims, aud: "acme-2" }],
  ["Google's other domain", google, cases[4]?.[2] ?? "", { ...googleClaims, hd: "evil.test" }],
])("%s is refused", async (_name, trusted, url, claims) => {
  await expect(verify(trusted, url, claims)).rejects.toMatchObject({ code: "invalid_token" });
});
