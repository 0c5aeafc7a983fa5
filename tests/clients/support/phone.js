// Codes by SMS, and accounts with a verified phone.

import { createClient } from "graphql-ws";

import { PASSWORD, data } from "./ask.js";
import { within } from "./within.js";

const SIGNUP = `mutation ($input: SignupInput!) {
  signup(input: $input) {
    ... on AuthTokens { accessToken refreshToken user { id } challenge { id } }
  }
}`;
const VERIFY_PHONE = `mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}`;
const DELIVERY = "subscription ($id: ID!) { codeDelivery(challengeId: $id) { delivery } }";

/** Creates an account with a verified phone and returns its tokens. */
export async function signUpWithPhone(servers, nickname, phone) {
  const variables = { input: { nickname, phone, password: PASSWORD } };
  const { challenge, ...tokens } = (await data(servers[0], SIGNUP, { variables })).signup;
  const { accessToken: token } = tokens;
  const verification = await answerTo(servers, challenge, phone, token);
  await data(servers[0], VERIFY_PHONE, { variables: { verification }, token });
  return tokens;
}

/** A user's challenge with its code, once one of the servers has sent the SMS. */
export async function answerTo(servers, challenge, phone, token) {
  await within(sent(servers[0], challenge, token), "an SMS");
  const path = `/dev/messages?to=${encodeURIComponent(phone)}`;
  const headers = { accept: "application/json" };
  const printed = await Promise.all(
    servers.map(async ({ origin }) => (await (await fetch(origin + path, { headers })).json()).data.messages),
  );
  const newest = printed.flat().sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  const code = newest.map(({ body }) => /\d{6}/.exec(body)?.[0]).find(Boolean);
  return { challengeId: challenge.id, code };
}

async function sent(server, { id }, token) {
  const connectionParams = { authorization: `Bearer ${token}` };
  const client = createClient({ url: server.socketUrl, connectionParams });
  const closed = new Promise((closed) => client.on("closed", closed));
  for await (const answer of client.iterate({ query: DELIVERY, variables: { id } })) {
    if (answer.data.codeDelivery.delivery === "SENT") break;
  }
  await closed;
}
