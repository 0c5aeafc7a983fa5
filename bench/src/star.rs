//! Somebody whose avatar changes, and people who have their number among their contacts.

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::cast::text;
use crate::gateway::Gateway;
use crate::http::{Connection, Prepared};
use crate::people::PASSWORD;
use crate::product::Product;

const PHONE: &str = "+31687654321";

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken user { id } challenge { id } } }
}";
const VERIFY: &str = "mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}";
const ADD: &str = "mutation ($input: AddContactInput!) { addContact(input: $input) { id } }";
const UPLOAD: &str = "mutation ($file: Upload!) { uploadAvatar(file: $file) { version } }";
const REMOVE: &str = "mutation { removeAvatar { id } }";
/// A white pixel.
const PICTURE: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

/// Who is watched, and who watches.
pub struct Star {
    id: String,
    token: String,
    /// The access tokens of those who may watch.
    pub viewers: Vec<String>,
}

impl Star {
    /// They sign up, with a phone that is verified, and so many others add that number.
    ///
    /// # Errors
    /// When something is refused.
    pub async fn settle(product: &Product, gateway: &Gateway, viewers: usize) -> Result<Self> {
        let mut connection = Connection::open(product.address).await?;
        let input = json!({ "nickname": "star", "phone": PHONE, "password": PASSWORD });
        let data = connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
        let (id, token) = (text(&data, "/signup/user/id")?, text(&data, "/signup/accessToken")?);
        let challenge = text(&data, "/signup/challenge/id")?;
        let verification =
            json!({ "challengeId": challenge, "code": gateway.code(PHONE, 0).await? });
        let variables = json!({ "verification": verification });
        connection.ask(VERIFY, &variables, Some(token)).await?;
        let mut star = Self { id: id.to_owned(), token: token.to_owned(), viewers: Vec::new() };
        for number in 0..viewers {
            let input = json!({ "nickname": format!("viewer{number}"), "password": PASSWORD });
            let data = connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
            let token = text(&data, "/signup/accessToken")?;
            let input = json!({ "name": "Star", "phone": PHONE });
            connection.ask(ADD, &json!({ "input": input }), Some(token)).await?;
            star.viewers.push(token.to_owned());
        }
        Ok(star)
    }

    /// What those who watch subscribe to.
    pub fn subscription(&self, fields: &str) -> String {
        format!(r#"subscription {{ avatarChanged(userId: "{}") {{ {fields} }} }}"#, self.id)
    }

    /// Shows a picture, and answers how often the avatar has changed by then.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn show(&self, connection: &mut Connection) -> Result<u64> {
        let (status, body) = connection.send(self.upload()?).await?;
        let answer: Value = serde_json::from_slice(&body)?;
        ensure!(status == StatusCode::OK, "{status}: {answer}");
        answer.pointer("/data/uploadAvatar/version").and_then(Value::as_u64).context(answer)
    }

    /// Shows none any more.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn remove(&self, connection: &mut Connection) -> Result<()> {
        connection.ask(REMOVE, &Value::Null, Some(&self.token)).await?;
        Ok(())
    }

    fn upload(&self) -> Result<Prepared> {
        let operations = json!({ "query": UPLOAD, "variables": { "file": null } });
        let part = |name: &str, value: &str| {
            format!(
                "--bench-boundary\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let mut body = part("operations", &operations.to_string());
        body += &part("map", r#"{ "0": ["variables.file"] }"#);
        body += "--bench-boundary\r\ncontent-disposition: form-data; name=\"0\"; filename=\"pixel.gif\"\r\n\
                 content-type: image/gif\r\n\r\n";
        let body = [body.as_bytes(), PICTURE, b"\r\n--bench-boundary--\r\n"].concat();
        let request = Request::post("/graphql")
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, "application/graphql-response+json")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=bench-boundary")
            .header("apollo-require-preflight", "true")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}
