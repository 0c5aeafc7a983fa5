// Plain requests, for steps that do not use the client under test.

/** Sends an operation by POST. Returns the response, with its JSON as `answer`. */
export async function ask(server, query, { variables, token, headers, ...members } = {}) {
  const response = await fetch(server.url, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json",
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ query, variables, ...members }),
  });
  return Object.assign(response, { answer: await response.json() });
}

/** The data of a response that must have no errors. */
export async function data(server, query, options) {
  const { answer } = await ask(server, query, options);
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}

export const PASSWORD = "correct horse battery";

/** Creates an account and returns its tokens. */
export async function signUp(server, nickname) {
  const query = `mutation ($input: SignupInput!) {
    signup(input: $input) { ... on AuthTokens { accessToken refreshToken user { id } } }
  }`;
  return (await data(server, query, { variables: { input: { nickname, password: PASSWORD } } })).signup;
}

/** Adds to a counter and returns its value. */
export async function addTo(server, counter, by = 1) {
  const query = "mutation ($counter: String!, $by: Int!) { addTo(counter: $counter, by: $by) { value } }";
  return (await data(server, query, { variables: { counter, by } })).addTo.value;
}

/** The code of the first error of a response. */
export const code = (answer) => answer.errors?.[0]?.extensions?.code;
