import { BlockList, isIPv6 } from "node:net";

import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/** Where an API key may be used from; what is not given is not looked at. */
export interface KeyRestrictions {
  /** Pages that may use it, as browsers name them in `Origin`. */
  readonly origins?: readonly string[];
  /** IP addresses and networks in CIDR notation. */
  readonly addresses?: readonly string[];
}

/** Refuses a request that comes from elsewhere. @throws {key_origin_refused} @throws {key_address_refused} */
export type RestrictionCheck = (exchange: Exchange) => void;

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** The check of a key's restrictions, compiled once per verification; undefined for a key without. */
export function restrictionCheck(restrictions: KeyRestrictions): RestrictionCheck | undefined {
  const { origins, addresses } = restrictions;
  if (origins === undefined && addresses === undefined) return undefined;
  const networks = addresses && networksOf(addresses);
  return ({ headers, request }) => {
    if (origins !== undefined && !origins.includes(headers.origin ?? "")) {
      throw edgeError("key_origin_refused", "The API key may not be used by pages of this origin");
    }
    if (networks !== undefined && !contains(networks, request.ip)) {
      throw edgeError("key_address_refused", "The API key may not be used from this address");
    }
  };
}

function networksOf(addresses: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const text of addresses) {
    const [address = "", bits] = text.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(bits), family);
  }
  return networks;
}

function contains(networks: BlockList, address: string): boolean {
  // A socket for both families tells IPv4 addresses as IPv6.
  const ipv4 = mapped.exec(address)?.[1];
  if (ipv4 !== undefined) return networks.check(ipv4, "ipv4");
  // Without the interface that a link-local address may name.
  const [plain = ""] = address.split("%");
  return networks.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}
