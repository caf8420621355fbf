import { auth0 } from "./auth0.ts";
import { clerk } from "./clerk.ts";
import { cognito } from "./cognito.ts";
import { firebase } from "./firebase.ts";
import { google } from "./google.ts";

/** Entries for issuers that are met often, with the claims as those issuers document them. */
export const issuers = { auth0, clerk, cognito, firebase, google };
