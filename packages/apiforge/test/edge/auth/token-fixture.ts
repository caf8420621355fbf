import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTHeaderParameters } from "jose";

/** A key pair as an issuer has it. */
export interface SigningKey {
  readonly jwk: JWK;
  sign(claims: object, header?: Partial<JWTHeaderParameters>): Promise<string>;
}

export async function signingKey(alg: string, kid = alg): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    sign: (claims, header = {}) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  };
}

/** One part of a compact token. */
export function part(text: string | object): string {
  return Buffer.from(typeof text === "string" ? text : JSON.stringify(text)).toString("base64url");
}
