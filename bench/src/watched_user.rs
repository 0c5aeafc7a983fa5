//! User whose avatar changes, with viewers who have that user's phone number among their contacts.

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::{Connection, HttpRequest};
use crate::server::Server;
use crate::test_accounts::str_at;
use crate::users::PASSWORD;

const PHONE: &str = "+31687654321";

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken user { id } challenge { id } } }
}";
const VERIFY_PHONE: &str = "mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}";
const ADD_CONTACT: &str =
    "mutation ($input: AddContactInput!) { addContact(input: $input) { id } }";
const UPLOAD_AVATAR: &str = "mutation ($file: Upload!) { uploadAvatar(file: $file) { version } }";
const REMOVE_AVATAR: &str = "mutation { removeAvatar { id } }";
/// A white pixel.
const PICTURE: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

/// A user with an avatar, and the users who may see it.
pub struct WatchedUser {
    id: String,
    token: String,
    /// The viewers' access tokens.
    pub viewer_tokens: Vec<String>,
}

impl WatchedUser {
    /// Signs the user up with a verified phone, and the viewers, who add that number to their contacts.
    pub async fn create(server: &Server, gateway: &Gateway, viewers: usize) -> Result<Self> {
        let mut connection = Connection::open(server.address).await?;
        let input = json!({ "nickname": "star", "phone": PHONE, "password": PASSWORD });
        let data = connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
        let (id, token) =
            (str_at(&data, "/signup/user/id")?, str_at(&data, "/signup/accessToken")?);
        let challenge = str_at(&data, "/signup/challenge/id")?;
        let verification =
            json!({ "challengeId": challenge, "code": gateway.wait_for_code(PHONE, 0).await? });
        let variables = json!({ "verification": verification });
        connection.execute(VERIFY_PHONE, &variables, Some(token)).await?;
        let mut watched_user =
            Self { id: id.to_owned(), token: token.to_owned(), viewer_tokens: Vec::new() };
        for number in 0..viewers {
            let input = json!({ "nickname": format!("viewer{number}"), "password": PASSWORD });
            let data = connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
            let token = str_at(&data, "/signup/accessToken")?;
            let input = json!({ "name": "Star", "phone": PHONE });
            connection.execute(ADD_CONTACT, &json!({ "input": input }), Some(token)).await?;
            watched_user.viewer_tokens.push(token.to_owned());
        }
        Ok(watched_user)
    }

    /// The viewers' subscription document.
    pub fn subscription(&self, fields: &str) -> String {
        format!(r#"subscription {{ avatarChanged(userId: "{}") {{ {fields} }} }}"#, self.id)
    }

    /// Uploads an avatar and returns its version.
    pub async fn upload_avatar(&self, connection: &mut Connection) -> Result<u64> {
        let (status, body) = connection.send(self.upload_request()?).await?;
        let response: Value = serde_json::from_slice(&body)?;
        ensure!(status == StatusCode::OK, "{status}: {response}");
        response.pointer("/data/uploadAvatar/version").and_then(Value::as_u64).context(response)
    }

    /// Removes the avatar.
    pub async fn remove_avatar(&self, connection: &mut Connection) -> Result<()> {
        connection.execute(REMOVE_AVATAR, &Value::Null, Some(&self.token)).await?;
        Ok(())
    }

    fn upload_request(&self) -> Result<HttpRequest> {
        let operations = json!({ "query": UPLOAD_AVATAR, "variables": { "file": null } });
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
