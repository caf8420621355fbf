import { BlockList, isIP } from "node:net";

/** The addresses of proxies whose word on their clients counts; with a client certificate and with `Forwarded`. */
export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** @throws {TypeError} for what is neither an address nor a network (`10.0.0.0/8`, `fd00::/8`). */
  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const network of networks) {
      const [address = "", prefix, ...rest] = network.split("/");
      const version = isIP(address);
      const bits = version === 4 ? 32 : 128;
      const length = Number(prefix ?? bits);
      const isLength = prefix === undefined || /^\d{1,3}$/.test(prefix);
      if (version === 0 || rest.length > 0 || !isLength || length > bits) {
        throw new TypeError(`${network} is no network; write for example 10.0.0.0/8 or ::1`);
      }
      this.#list.addSubnet(address, length, version === 4 ? "ipv4" : "ipv6");
    }
  }

  /** Undefined, for a client that has gone, is nobody's address. */
  has(address: string | undefined): boolean {
    if (this.#isEmpty || address === undefined) return false;
    const [plain = ""] = address.split("%");
    const version = isIP(plain);
    return version !== 0 && this.#list.check(plain, version === 4 ? "ipv4" : "ipv6");
  }
}
