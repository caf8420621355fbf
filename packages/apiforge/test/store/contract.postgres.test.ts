import { storeContract } from "@apiforge/testing/contracts";
import { postgres } from "./postgres-fixture.ts";

storeContract(postgres);
