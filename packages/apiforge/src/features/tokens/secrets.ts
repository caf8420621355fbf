import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";

const cipher = "aes-256-gcm";
const ivBytes = 12;
const tagBytes = 16;

/** What is made of the deployment's secret: a key for each use, so that none tells anything of another. */
export class TokenSecrets {
  readonly #sealing: Buffer;
  readonly #refreshing: Buffer;

  constructor(deploymentSecret: string) {
    this.#sealing = derive(deploymentSecret, "signing keys");
    this.#refreshing = derive(deploymentSecret, "refresh tokens");
  }

  /** `text` as only this deployment can read it; `name` is what it belongs to. */
  seal(name: string, text: string): string {
    const iv = randomBytes(ivBytes);
    const sealing = createCipheriv(cipher, this.#sealing, iv, { authTagLength: tagBytes });
    sealing.setAAD(Buffer.from(name));
    const sealed = Buffer.concat([sealing.update(text, "utf8"), sealing.final()]);
    return Buffer.concat([iv, sealing.getAuthTag(), sealed]).toString("base64url");
  }

  /** Undefined for what was sealed under another secret or name. */
  open(name: string, sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, "base64url");
    const iv = bytes.subarray(0, ivBytes);
    const tag = bytes.subarray(ivBytes, ivBytes + tagBytes);
    try {
      const opening = createDecipheriv(cipher, this.#sealing, iv, { authTagLength: tagBytes });
      opening.setAAD(Buffer.from(name));
      opening.setAuthTag(tag);
      const text = opening.update(bytes.subarray(ivBytes + tagBytes));
      return Buffer.concat([text, opening.final()]).toString("utf8");
    } catch {
      return undefined;
    }
  }

  /** What proves a session's refresh token of one generation: 43 characters of base64url. */
  proofOf(sessionId: string, seed: string, generation: number): string {
    return createHmac("sha256", this.#refreshing)
      .update(`${sessionId}\n${seed}\n${generation}`)
      .digest("base64url");
  }
}

function derive(secret: string, use: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", `apiforge ${use}`, 32));
}

/** 256 random bits: nobody guesses them, so a plain digest of them is safe at rest. */
export function randomSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** SHA-256 of a {@link randomSecret}. */
export function digestOf(secret: string): string {
  return hash("sha256", secret, "base64url");
}

/** Compares in a time that tells nothing of where two texts differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
