import { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ManualClock } from "@apiforge/testing";
import { beforeAll, describe, expect, test, vi } from "vitest";

import { ClientCertificates, type CertificateHolder } from "../../../src/edge/index.ts";
import {
  Authority,
  ExtendedKeyUsageExtension,
  Extension,
  hoursFromNow,
  type Credentials,
  type IssueOptions,
} from "@apiforge/testing/certificates";

const nowMs = hoursFromNow(0).getTime();
const proxy = "10.1.2.3";
let root: Authority;
let middle: Authority;
let stranger: Authority;

beforeAll(async () => {
  root = await Authority.create("Root");
  middle = await Authority.create("Middle", { issuer: root });
  stranger = await Authority.create("Root");
});

interface Given {
  readonly ca?: string;
  readonly crl?: string;
  readonly clock?: ManualClock;
  readonly identify?: () => CertificateHolder | undefined;
}

function certificates({ ca = root.cert, clock = new ManualClock(nowMs), ...rest }: Given = {}) {
  return new ClientCertificates({ ca, clock, trustedProxies: ["10.0.0.0/8", "fd00::/8"], ...rest });
}

/** Credentials as a proxy hands them on. */
function handedOn({ cert }: Credentials): Record<string, string> {
  const [leaf = "", ...chain] = [...cert.matchAll(/-----BEGIN[^-]+-----([^-]+)-----END/g)].map(
    ([, base64 = ""]) => `:${base64.replaceAll(/\s/g, "")}:`,
  );
  return chain.length === 0
    ? { "client-cert": leaf }
    : { "client-cert": leaf, "client-cert-chain": chain.join(", ") };
}

/** What is looked at of a request. */
function request(headers: IncomingMessage["headers"], remoteAddress = proxy): IncomingMessage {
  return from(headers, remoteAddress);
}

/** Of a client that has gone, no address is known. */
function from(headers: IncomingMessage["headers"], remoteAddress: string | undefined) {
  return { headers, socket: { remoteAddress } } as IncomingMessage;
}

function refusalOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "none";
}

const invalid = "invalid_certificate: The client certificate";
const untrusted = `${invalid} was not issued by an authority that is trusted here`;

describe("a client certificate", () => {
  test("of a trusted authority stands for itself by its thumbprint", async () => {
    const good = await root.issue("service");
    const found = certificates();
    const principal = found.verify(request(handedOn(good)));
    const thumbprint = found.of(request(handedOn(good)))?.thumbprint;
    expect(thumbprint).toBe(
      Buffer.from(good.x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url"),
    );
    expect(principal).toEqual({
      subject: `x5t:${thumbprint}`,
      tenant: `x5t:${thumbprint}`,
      role: "",
      scopes: [],
      credentialId: thumbprint,
      certificate: thumbprint,
    });
  });

  test("stands for whom the application says, or for nobody", async () => {
    const good = request(handedOn(await root.issue("service")));
    const holder = { subject: "svc", tenant: "ten_1", role: "psp", scopes: ["a"], plan: "gold" };
    const known = certificates({ identify: () => holder });
    expect(known.verify(good)).toMatchObject(holder);
    const unknown = certificates({ identify: () => undefined });
    expect(refusalOf(() => unknown.verify(good))).toBe(`${invalid} stands for nobody here`);
  });

  test("is good by way of authorities that it brings, as deep as they allow", async () => {
    const deep = await Authority.create("Deep", { issuer: middle });
    for (const authority of [middle, deep]) {
      const good = await authority.issue("service");
      expect(certificates().verify(request(handedOn(good))).certificate).toBeDefined();
      // Without them the way is not known.
      const alone = { "client-cert": handedOn(good)["client-cert"] ?? "" };
      expect(refusalOf(() => certificates().verify(request(alone)))).toBe(untrusted);
    }
  });

  const refused: [string, () => Promise<Credentials>, string][] = [
    ["a stranger of the same name issued", () => stranger.issue("service"), untrusted],
    ["has expired", () => root.issue("s", { until: hoursFromNow(-0.5) }), `${invalid} has expired`],
    [
      "is not valid yet",
      () => root.issue("s", { from: hoursFromNow(0.5) }),
      `${invalid} is not valid yet`,
    ],
    [
      "is a server's",
      () => root.issue("s", { usage: "server" }),
      `${invalid} is not one for clients`,
    ],
    [
      "is an authority's no more",
      async () => under({ until: hoursFromNow(-1) }),
      `${invalid} has expired`,
    ],
    ["is under one that is no authority", async () => under({ isCa: false }), untrusted],
    [
      "is under an authority for servers",
      async () => under({ extensions: [serversOnly()] }),
      `${invalid} is not one for clients`,
    ],
    ["is deeper than its authority allows", async () => belowPathLength(), untrusted],
    [
      "has a critical extension that nobody knows",
      () => root.issue("s", unknownExtension(true)),
      untrusted,
    ],
    [
      "is under name constraints",
      async () => under({ extensions: [nameConstraints()] }),
      untrusted,
    ],
  ];

  test.each(refused)("that %s is refused", async (_, make, refusal) => {
    const presented = request(handedOn(await make()));
    expect(refusalOf(() => certificates().verify(presented))).toBe(refusal);
  });

  test("with an unknown extension that is not critical, or for any use, is good", async () => {
    for (const options of [unknownExtension(false), { usage: "any" } as const]) {
      const good = await root.issue("service", options);
      expect(certificates().verify(request(handedOn(good))).certificate).toBeDefined();
    }
  });

  test("that was found good once is found again without the authorities between", async () => {
    const found = certificates();
    const whole = handedOn(await middle.issue("service"));
    const alone = { "client-cert": whole["client-cert"] ?? "" };
    expect(refusalOf(() => found.verify(request(alone)))).toBe(untrusted);
    found.verify(request(whole));
    found.renew({ ca: root.cert });
    expect(found.verify(request(alone)).certificate).toBeDefined();
  });

  test("with authorities that all vouch for each other is refused after one look at each", async () => {
    // All of one name and key: each could have issued each.
    const self = await stranger.lookalikes(8);
    const leaf = handedOn(await stranger.issue("service"));
    const chain = self.map((pem) => `:${pem.replaceAll(/-----[^-]+-----|\s/g, "")}:`).join(", ");
    const looks = vi.spyOn(X509Certificate.prototype, "verify");
    const presented = request({ ...leaf, "client-cert-chain": chain });
    expect(refusalOf(() => certificates().verify(presented))).toBe(untrusted);
    // The client's against all nine, and each of the eight against the one that is trusted.
    expect(looks).toHaveBeenCalledTimes(9 + 8);
    looks.mockRestore();
  });

  test("is looked at again when its end has come", async () => {
    const clock = new ManualClock(nowMs);
    const found = certificates({ clock });
    const presented = request(handedOn(await root.issue("s", { until: hoursFromNow(0.01) })));
    expect(found.verify(presented)).toBe(found.verify(presented));
    clock.advance(40_000);
    expect(refusalOf(() => found.verify(presented))).toBe(`${invalid} has expired`);
  });

  test("is looked at again when other authorities are trusted", async () => {
    const found = certificates();
    const presented = request(handedOn(await root.issue("service")));
    found.verify(presented);
    found.renew({ ca: stranger.cert });
    expect(refusalOf(() => found.verify(presented))).toBe(untrusted);
    expect(() => found.renew({ ca: "nothing" })).toThrow(TypeError);
    found.renew({ ca: `${stranger.cert}\n${root.cert}` });
    expect(found.verify(presented).certificate).toBeDefined();
  });
});

describe("with revocation lists", () => {
  test("what is on one is refused, and what is not is good", async () => {
    const [good, bad] = [await root.issue("good"), await root.issue("bad")];
    const found = certificates({ crl: await root.revoke([bad.x509]) });
    expect(found.verify(request(handedOn(good))).certificate).toBeDefined();
    expect(refusalOf(() => found.verify(request(handedOn(bad))))).toBe(`${invalid} was revoked`);
  });

  test("a renewed one counts for certificates that were good before", async () => {
    const client = request(handedOn(await root.issue("client")));
    const found = certificates({ crl: await root.revoke([]) });
    found.verify(client);
    const x509 = found.of(client)?.x509;
    if (x509 === undefined) throw new Error("There is a certificate");
    found.renew({ ca: root.cert, crl: await root.revoke([x509]) });
    expect(refusalOf(() => found.verify(client))).toBe(`${invalid} was revoked`);
  });

  test("one of each authority on the way is needed, and one of them revokes an authority", async () => {
    const client = request(handedOn(await middle.issue("client")));
    const unknown =
      "certificate_status_unknown: Whether the client certificate was revoked cannot be told now";
    const ofRoot = await root.revoke([]);
    const ofMiddle = await middle.revoke([]);
    const both = certificates({ crl: `${ofRoot}\n${ofMiddle}` });
    expect(both.verify(client).certificate).toBeDefined();
    for (const crl of [ofRoot, ofMiddle]) {
      expect(refusalOf(() => certificates({ crl }).verify(client))).toBe(unknown);
    }
    const [authority] = both.of(client)?.intermediates ?? [];
    if (authority === undefined) throw new Error("There is an authority on the way");
    const crl = `${await root.revoke([authority])}\n${ofMiddle}`;
    expect(refusalOf(() => certificates({ crl }).verify(client))).toBe(`${invalid} was revoked`);
  });

  test("one that is out of date, or that somebody else signed, says nothing", async () => {
    const client = request(handedOn(await root.issue("client")));
    for (const crl of [await root.revoke([], hoursFromNow(-1)), await stranger.revoke([])]) {
      const found = certificates({ crl });
      expect(refusalOf(() => found.verify(client))).toContain("certificate_status_unknown");
    }
  });

  test("its end is the end of what was concluded from it", async () => {
    const clock = new ManualClock(nowMs);
    const found = certificates({ clock, crl: await root.revoke([], hoursFromNow(0.01)) });
    const client = request(handedOn(await root.issue("client")));
    found.verify(client);
    clock.advance(40_000);
    expect(refusalOf(() => found.verify(client))).toContain("certificate_status_unknown");
  });

  test("a text without any is refused", () => {
    expect(() => certificates({ crl: "" })).toThrow(TypeError);
  });
});

describe("Client-Cert", () => {
  let good: Record<string, string>;

  beforeAll(async () => {
    good = handedOn(await middle.issue("service"));
  });

  test.each(["10.255.0.1", "::ffff:10.0.0.1", "fd00::1%eth0"])("is believed of %s", (address) => {
    expect(certificates().verify(request(good, address)).certificate).toBeDefined();
  });

  test.each(["11.0.0.1", "::1", "::ffff:11.0.0.1", undefined])(
    "is not believed of %s",
    (address) => {
      expect(certificates().of(from(good, address))).toBe(undefined);
    },
  );

  test.each<[string, (der: string) => string]>([
    ["no Byte Sequence", (der) => der.slice(1, -1)],
    ["two", (der) => `${der}, ${der}`],
    ["no base64", (der) => der.replace(/A/, "!")],
    ["no certificate", () => ":AAAA:"],
    [
      "bytes behind the certificate",
      (der) => `:${Buffer.concat([bytesOf(der), Buffer.from("x")]).toString("base64")}:`,
    ],
    [
      "PEM",
      (der) =>
        `:${Buffer.from(`-----BEGIN CERTIFICATE-----\n${der.slice(1, -1)}\n-----END CERTIFICATE-----`).toString("base64")}:`,
    ],
  ])("with %s is refused", (_, change) => {
    const headers = { ...good, "client-cert": change(good["client-cert"] ?? "") };
    expect(refusalOf(() => certificates().verify(request(headers)))).toBe(
      `${invalid} cannot be read`,
    );
  });

  test("is refused with a chain that cannot be read, or is too long", () => {
    const item = good["client-cert-chain"] ?? "";
    for (const chain of [":x", Array.from({ length: 9 }, () => item).join(",")]) {
      const headers = { ...good, "client-cert-chain": chain };
      expect(refusalOf(() => certificates().verify(request(headers)))).toContain("cannot be read");
    }
  });
});

test.each(["10.0.0.0/33", "10.0.0.0/", "::/129", "example.com", "10.0.0.0/8/8", "10.0.0.0/-1"])(
  "%s is no network",
  (network) => {
    const options = { ca: root.cert, clock: new ManualClock(nowMs), trustedProxies: [network] };
    expect(() => new ClientCertificates(options)).toThrow(`${network} is no network`);
  },
);

async function under(options: Parameters<typeof Authority.create>[1]): Promise<Credentials> {
  return (await Authority.create("Under", { issuer: root, ...options })).issue("service");
}

async function belowPathLength(): Promise<Credentials> {
  const last = await Authority.create("Last", { issuer: root, pathLength: 0 });
  return (await Authority.create("Too deep", { issuer: last })).issue("service");
}

function unknownExtension(critical: boolean): IssueOptions {
  return { extensions: [new Extension("1.3.6.1.4.1.55555.1", critical, new Uint8Array([5, 0]))] };
}

function serversOnly(): Extension {
  return new ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.1"]);
}

/** Permits names under example.com only; RFC 5280 section 4.2.1.10. */
function nameConstraints(): Extension {
  const name = Buffer.from("example.com");
  const general = Buffer.concat([Buffer.from([0x82, name.length]), name]);
  const subtree = Buffer.concat([Buffer.from([0x30, general.length]), general]);
  const permitted = Buffer.concat([Buffer.from([0xa0, subtree.length]), subtree]);
  return new Extension(
    "2.5.29.30",
    true,
    Buffer.concat([Buffer.from([0x30, permitted.length]), permitted]),
  );
}

function bytesOf(item: string): Buffer {
  return Buffer.from(item.slice(1, -1), "base64");
}
