//! Receipts of a customer's gateway: whose they are, and what they say.

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded;

use super::super::answer::is_id;
use super::text_at;
use crate::config::sms::{HttpReceipts, HttpStatus};
use crate::messages::gateway::{About, Call, News, NotBelieved, Reason, Receipt};
use crate::messages::status::Status;
use crate::platform::vault::same;

/// What the ids of our own messages start with.
const OURS: &str = "msg_";

/// Reads a receipt by the settings.
///
/// # Errors
/// When it is not believed.
pub fn read(settings: &HttpReceipts, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
    let fields: Vec<Fields> = believed(settings, call)?.into_iter().map(Fields::read).collect();
    let field = |name: &str| fields.iter().find_map(|fields| fields.get(name));
    let id = field(&settings.id).filter(|id| is_id(id));
    let id = id.ok_or(NotBelieved::Unreadable("it has no id where one is expected"))?;
    let status = field(&settings.status);
    let status = status.ok_or(NotBelieved::Unreadable("it has no status where one is expected"))?;
    let status = status.trim().to_lowercase();
    let (about, gateway_id) = match id.starts_with(OURS) {
        true => (About::Ours(id), None),
        false => (About::Theirs(id.clone()), Some(id)),
    };
    let news = settings.status_map.get(&status).copied().and_then(meaning);
    let news = news.map(|(kept, why)| News {
        status: kept,
        reason: why.map(|why| Reason::coded(status, why)),
        gateway_id,
    });
    Ok(Receipt { about, news })
}

/// What is kept of a status, and why if it is a bad one.
fn meaning(status: HttpStatus) -> Option<(Status, Option<&'static str>)> {
    Some(match status {
        HttpStatus::Ignored => return None,
        HttpStatus::Sent => (Status::Sent, None),
        HttpStatus::Delivered => (Status::Delivered, None),
        HttpStatus::Undelivered => {
            (Status::Undelivered, Some("the gateway could not bring it to the phone"))
        }
        HttpStatus::Failed => (Status::Failed, Some("the gateway gave it up")),
    })
}

/// The parts of a receipt that are the gateway's beyond doubt, in the order in which they count.
fn believed<'a>(settings: &HttpReceipts, call: &Call<'a>) -> Result<Vec<&'a [u8]>, NotBelieved> {
    let (body, query) = (call.body, call.query.as_bytes());
    let shown = || call.headers.get_all(&settings.header).iter().map(HeaderValue::as_bytes);
    let secret = settings.secret.expose_secret().as_bytes();
    if shown().chain(bearer(call.headers)).any(|shown| same(shown, secret)) {
        return Ok(vec![body, query]);
    }
    // A signature is of the body alone: a query beside it is anybody's.
    let signed = if body.is_empty() { query } else { body };
    match shown().any(|shown| is_signature(shown, &settings.secret, signed)) {
        true => Ok(vec![signed]),
        false => Err(NotBelieved::Forged("it shows neither the secret nor a signature by it")),
    }
}

/// The token of `Authorization: Bearer` (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim().as_bytes())
}

/// Whether it is the HMAC-SHA256 of `signed`, in hex or base64, with or without `sha256=`.
fn is_signature(shown: &[u8], secret: &SecretString, signed: &[u8]) -> bool {
    let shown = shown.strip_prefix(b"sha256=").unwrap_or(shown);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, signed);
    let read = [HEXLOWER_PERMISSIVE.decode(shown), BASE64.decode(shown)];
    read.iter().flatten().any(|shown| same(shown, tag.as_ref()))
}

/// What a part of a receipt says.
enum Fields {
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Fields {
    /// A JSON object or array; else a form, which a query is too.
    fn read(part: &[u8]) -> Self {
        match serde_json::from_slice(part) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Self::Json(value),
            _ => Self::Form(form_urlencoded::parse(part).into_owned().collect()),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Json(value) => text_at(value, name),
            Self::Form(fields) => Some(fields.iter().find(|(field, _)| field == name)?.1.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SECRET: &str = "correct horse";

    fn settings() -> HttpReceipts {
        let statuses = [
            ("ignored", HttpStatus::Ignored),
            ("1", HttpStatus::Sent),
            ("delivrd", HttpStatus::Delivered),
            ("undeliv", HttpStatus::Undelivered),
            ("rejectd", HttpStatus::Failed),
        ];
        HttpReceipts {
            id: "id".into(),
            status: "status".into(),
            status_map: statuses.map(|(name, meaning)| (name.to_owned(), meaning)).into(),
            header: "X-Receipt-Signature".into(),
            secret: SECRET.into(),
        }
    }

    fn read_with(
        settings: &HttpReceipts,
        header: (&str, &str),
        query: &str,
        body: &str,
    ) -> Result<Receipt, NotBelieved> {
        let mut headers = HeaderMap::new();
        let name: reqwest::header::HeaderName = header.0.parse().expect("a name");
        headers.insert(name, header.1.parse().expect("a value"));
        read(
            settings,
            &Call {
                url: format!("https://switchboard.example/webhooks/sms/http?{query}"),
                query,
                headers: &headers,
                body: body.as_bytes(),
                now: DateTime::UNIX_EPOCH,
            },
        )
    }

    /// With the secret itself.
    fn told(query: &str, body: &str) -> Result<Receipt, NotBelieved> {
        read_with(&settings(), ("X-Receipt-Signature", SECRET), query, body)
    }

    fn tag(signed: &str) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::sign(&key, signed.as_bytes())
    }

    fn delivered(about: About) -> Receipt {
        let gateway_id = match &about {
            About::Ours(_) => None,
            About::Theirs(id) => Some(id.clone()),
        };
        Receipt { about, news: Some(News { status: Status::Delivered, reason: None, gateway_id }) }
    }

    #[test]
    fn a_receipt_comes_in_a_query_a_form_or_json() {
        let ours = delivered(About::Ours("msg_1".into()));
        for (query, body) in [
            ("id=msg_1&status=DELIVRD", ""),
            ("", "status=delivrd&id=msg%5F1&more=1"),
            ("", r#"{"id": "msg_1", "status": "Delivrd"}"#),
            ("id=msg_1", "status=DELIVRD"),
            ("id=msg_2", "id=msg_1&status=DELIVRD"),
        ] {
            assert_eq!(told(query, body), Ok(ours.clone()), "{query} {body}");
        }
        assert_eq!(
            told("id=77&status=DELIVRD", ""),
            Ok(delivered(About::Theirs("77".into()))),
            "an id that is not ours is the gateway's"
        );
    }

    #[test]
    fn fields_of_json_may_lie_deep() {
        let settings =
            HttpReceipts { id: "data.0.id".into(), status: "data.0.to.state".into(), ..settings() };
        let read = |body| read_with(&settings, ("X-Receipt-Signature", SECRET), "", body);
        let receipt = read(r#"{"data": [{"id": 77, "to": {"state": 1}}]}"#).expect("genuine");
        assert_eq!(receipt.about, About::Theirs("77".into()));
        assert_eq!(receipt.news.expect("known").status, Status::Sent);
        assert!(read(r#"{"data": {"0": {"id": 77, "to": {"state": 1}}}}"#).is_ok());
        assert!(read(r#"{"data": []}"#).is_err());
    }

    #[test]
    fn bad_statuses_have_a_reason_and_unknown_ones_are_no_news() {
        let news = |status: &str| told(&format!("id=7&status={status}"), "").expect("good").news;
        let reason = |text: &str, why: &str| Some(Reason::coded(text, why));
        let undelivered = news("UNDELIV").expect("known");
        assert_eq!(undelivered.status, Status::Undelivered);
        assert_eq!(
            undelivered.reason,
            reason("undeliv", "the gateway could not bring it to the phone")
        );
        let failed = news("+rejectd+").expect("known");
        assert_eq!(failed.status, Status::Failed);
        assert_eq!(failed.reason, reason("rejectd", "the gateway gave it up"));
        for status in ["ignored", "new-in-2030", ""] {
            assert_eq!(news(status), None, "{status}");
        }
    }

    #[test]
    fn what_names_no_message_is_unreadable() {
        let long = format!("id={}&status=delivrd", "7".repeat(256));
        for (query, body) in [
            ("", ""),
            ("status=delivrd", ""),
            ("id=&status=delivrd", ""),
            ("id=%00&status=delivrd", ""),
            (&long, ""),
            ("", r#"{"id": null, "status": "delivrd"}"#),
            ("", r#"{"id": 1e30, "status": "delivrd"}"#),
            ("", r#"{"id": "7"}"#),
            ("", "[]"),
            ("", "{"),
        ] {
            assert!(matches!(told(query, body), Err(NotBelieved::Unreadable(_))), "{query} {body}");
        }
    }

    #[test]
    fn who_shows_the_secret_or_a_signature_is_believed() {
        const BODY: &str = "id=msg_1&status=delivrd";
        let tag = tag(BODY);
        let hex = data_encoding::HEXLOWER.encode(tag.as_ref());
        let base64 = BASE64.encode(tag.as_ref());
        let header = "X-Receipt-Signature";
        let good = [
            (header, SECRET.to_owned()),
            ("x-receipt-signature", SECRET.to_owned()),
            ("Authorization", format!("Bearer {SECRET}")),
            ("Authorization", format!("bearer  {SECRET}")),
            (header, hex.clone()),
            (header, hex.to_uppercase()),
            (header, format!("sha256={hex}")),
            (header, base64.clone()),
            (header, format!("sha256={base64}")),
        ];
        for (name, value) in &good {
            let in_body = read_with(&settings(), (name, value), "", BODY);
            assert!(in_body.is_ok(), "{name}: {value}");
            // Without a body the query is what is signed.
            let in_query = read_with(&settings(), (name, value), BODY, "");
            assert_eq!(in_query, in_body, "{name}: {value}");
        }
        let forged = [
            ("X-Other", SECRET.to_owned()),
            (header, String::new()),
            (header, "correct hors".into()),
            (header, format!("{SECRET}e")),
            (header, format!("Bearer {SECRET}")),
            ("Authorization", SECRET.to_owned()),
            ("Authorization", format!("Basic {SECRET}")),
            ("Authorization", format!("Bearer {hex}")),
            (header, hex[2..].to_owned()),
            (header, format!("sha256=sha256={hex}")),
            (header, format!("sha1={hex}")),
            (header, "0".repeat(64)),
        ];
        for (name, value) in &forged {
            let read = read_with(&settings(), (name, value), "", BODY);
            assert!(matches!(read, Err(NotBelieved::Forged(_))), "{name}: {value}");
        }
        let other = read_with(&settings(), (header, &hex), "", "id=msg_2&status=delivrd");
        assert!(matches!(other, Err(NotBelieved::Forged(_))), "another body");
    }

    #[test]
    fn the_signature_is_the_published_one() {
        // RFC 4231, test case 2.
        let signature = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let secret = SecretString::from("Jefe");
        assert!(is_signature(signature, &secret, b"what do ya want for nothing?"));
        assert!(!is_signature(signature, &secret, b"what do ya want for something?"));
    }

    #[test]
    fn a_query_beside_a_signed_body_is_not_believed() {
        const BODY: &str = "status=delivrd";
        let hex = data_encoding::HEXLOWER.encode(tag(BODY).as_ref());
        let signed = read_with(&settings(), ("X-Receipt-Signature", &hex), "id=msg_1", BODY);
        assert!(matches!(signed, Err(NotBelieved::Unreadable(_))));
        assert!(told("id=msg_1", BODY).is_ok(), "with the secret all of it is the gateway's");
    }
}
