//! Users for the load: some sign up and add contacts over the API, thousands more are inserted into the database.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::http::{Connection, graphql};
use crate::load::LoadRequest;
use crate::server::Server;

/// The password of every user.
pub const PASSWORD: &str = "three small green boats";
const SIGNED_UP_USERS: usize = 64;
const CONTACTS_PER_USER: usize = 10;
const INSERTED_USERS: i32 = 10_000;

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken user { id } } }
}";
const ME: &str = "{ me { id name contacts(first: 10) { nodes { id name phone } } } }";

/// Copies the signed-up users and their contacts under new ids, which look like the server's.
const INSERT_COPIES: &str = "
CREATE TEMPORARY TABLE copies AS
  SELECT copy, ('01900000-0000-7000-8000-' || lpad(to_hex(copy), 12, '0'))::uuid AS id, original
  FROM generate_series(1, {count}) AS copy
  JOIN (SELECT id AS original, row_number() OVER (ORDER BY id) AS position FROM users) AS originals
    ON position = 1 + copy % (SELECT count(*) FROM users);
INSERT INTO users (id, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
  SELECT copies.id, 'other' || copy, 'other' || copy, name, discoverable, two_factor_enabled, role, created_at, updated_at
  FROM copies JOIN users ON users.id = original;
INSERT INTO contacts (id, owner_id, name, sort_key, phone, phone_key, created_at)
  SELECT ('01900000-0000-7000-9000-' || lpad(to_hex(row_number() OVER ()), 12, '0'))::uuid,
         copies.id, name, sort_key, phone, phone_key, created_at
  FROM copies JOIN contacts ON owner_id = original;
ANALYZE;
CHECKPOINT;
";

/// A signed-in user.
pub struct TestUser {
    /// The identifier for logins.
    pub nickname: String,
    /// The public id (`usr_…`).
    pub id: String,
    /// An access token.
    pub token: String,
}

/// Fills an empty database: signs users up through the server, then inserts copies. Returns the signed-up ones.
pub async fn seed_users(server: &Server, database: &Client) -> Result<Vec<TestUser>> {
    let mut connection = Connection::open(server.address).await?;
    let mut users = Vec::new();
    for number in 0..SIGNED_UP_USERS {
        let nickname = format!("person{number}");
        let name = format!("Person Number {number}");
        let input = json!({ "nickname": nickname, "name": name, "password": PASSWORD });
        let data = connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
        let string_at = |path| data.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let token = string_at("/signup/accessToken").context("a token")?;
        let id = string_at("/signup/user/id").context("an id")?;
        let fields = (0..CONTACTS_PER_USER).map(|index| {
            let phone = 612_000_000 + 1_000 * number + index;
            format!(r#"c{index}: addContact(input: {{ name: "Friend {index} of {number}", phone: "+31{phone}" }}) {{ id }}"#)
        });
        let document = format!("mutation {{ {} }}", fields.collect::<Vec<_>>().join(" "));
        connection.execute(&document, &Value::Null, Some(&token)).await?;
        users.push(TestUser { nickname, id, token });
    }
    let insert = INSERT_COPIES.replace("{count}", &INSERTED_USERS.to_string());
    database.batch_execute(&insert).await?;
    Ok(users)
}

/// Builds the `me` query of each user with its expected response, which is requested and checked here once.
pub async fn me_requests(server: &Server, users: &[TestUser]) -> Result<Arc<[LoadRequest]>> {
    let mut connection = Connection::open(server.address).await?;
    let mut requests = Vec::new();
    for user in users {
        let request = graphql(ME, &Value::Null, Some(&user.token))?;
        let (status, expected) = connection.send(request.clone()).await?;
        let response: Value = serde_json::from_slice(&expected)?;
        let nodes = response.pointer("/data/me/contacts/nodes").and_then(Value::as_array);
        let has_phones = nodes.is_some_and(|nodes| {
            nodes.len() == CONTACTS_PER_USER && nodes.iter().all(|node| node["phone"].is_string())
        });
        let is_expected = response["data"]["me"]["id"] == user.id.as_str() && has_phones;
        ensure!(status == StatusCode::OK && is_expected, "{status}: {response}");
        requests.push(LoadRequest { request, expected: Some(expected) });
    }
    Ok(requests.into())
}
