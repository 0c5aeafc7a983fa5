//! People to ask for: some sign up and add contacts as clients do, thousands are rows beside them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::http::{Connection, graphql};
use crate::load::Shot;
use crate::product::Product;

/// What every person has.
pub const PASSWORD: &str = "three small green boats";
const SIGNED_UP: usize = 64;
const CONTACTS: usize = 10;
/// How many rows there are beside those who signed up.
const OTHERS: i32 = 10_000;

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken user { id } } }
}";
const ME: &str = "{ me { id name contacts(first: 10) { nodes { id name phone } } } }";

/// The others are copies of those who signed up, with ids of their own in the form of the product's.
const COPY: &str = "
CREATE TEMPORARY TABLE copies AS
  SELECT number, ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid AS id, original
  FROM generate_series(1, {others}) AS number
  JOIN (SELECT id AS original, row_number() OVER (ORDER BY id) AS place FROM users) AS originals
    ON place = 1 + number % (SELECT count(*) FROM users);
INSERT INTO users (id, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
  SELECT copies.id, 'other' || number, 'other' || number, name, discoverable, two_factor_enabled, role, created_at, updated_at
  FROM copies JOIN users ON users.id = original;
INSERT INTO contacts (id, owner_id, name, sort_key, phone, phone_key, created_at)
  SELECT ('01900000-0000-7000-9000-' || lpad(to_hex(row_number() OVER ()), 12, '0'))::uuid,
         copies.id, name, sort_key, phone, phone_key, created_at
  FROM copies JOIN contacts ON owner_id = original;
ANALYZE;
CHECKPOINT;
";

/// Somebody who is signed in.
pub struct Person {
    /// What they log in by.
    pub nickname: String,
    /// Their id, as clients see it.
    pub id: String,
    /// An access token.
    pub token: String,
}

/// Fills an empty database through a running server, and beside it.
///
/// # Errors
/// When something is refused.
pub async fn settle(product: &Product, database: &Client) -> Result<Vec<Person>> {
    let mut connection = Connection::open(product.address).await?;
    let mut people = Vec::new();
    for number in 0..SIGNED_UP {
        let nickname = format!("person{number}");
        let name = format!("Person Number {number}");
        let input = json!({ "nickname": nickname, "name": name, "password": PASSWORD });
        let data = connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
        let told = |path| data.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let token = told("/signup/accessToken").context("a token")?;
        let id = told("/signup/user/id").context("an id")?;
        let adding = (0..CONTACTS).map(|place| {
            let phone = 612_000_000 + 1_000 * number + place;
            format!(r#"c{place}: addContact(input: {{ name: "Friend {place} of {number}", phone: "+31{phone}" }}) {{ id }}"#)
        });
        let document = format!("mutation {{ {} }}", adding.collect::<Vec<_>>().join(" "));
        connection.ask(&document, &Value::Null, Some(&token)).await?;
        people.push(Person { nickname, id, token });
    }
    database.batch_execute(&COPY.replace("{others}", &OTHERS.to_string())).await?;
    Ok(people)
}

/// P1's query by each of them, with the answer that was checked once and must come each time.
///
/// # Errors
/// When an answer is not what the person added.
pub async fn asking_for_me(product: &Product, people: &[Person]) -> Result<Arc<[Shot]>> {
    let mut connection = Connection::open(product.address).await?;
    let mut shots = Vec::new();
    for person in people {
        let request = graphql(ME, &Value::Null, Some(&person.token))?;
        let (status, expected) = connection.send(request.clone()).await?;
        let answer: Value = serde_json::from_slice(&expected)?;
        let nodes = answer.pointer("/data/me/contacts/nodes").and_then(Value::as_array);
        let has_phones = nodes.is_some_and(|nodes| {
            nodes.len() == CONTACTS && nodes.iter().all(|node| node["phone"].is_string())
        });
        let is_right = answer["data"]["me"]["id"] == person.id.as_str() && has_phones;
        ensure!(status == StatusCode::OK && is_right, "{status}: {answer}");
        shots.push(Shot { request, expected: Some(expected) });
    }
    Ok(shots.into())
}
