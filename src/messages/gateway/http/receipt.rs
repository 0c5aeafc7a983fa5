//! Delivery receipts of the HTTP gateway, authenticated by a secret or a signature.

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded;

use super::super::response::is_valid_gateway_id;
use super::json_path::text_at_path;
use crate::config::sms::{HttpReceiptConfig, MappedStatus};
use crate::messages::gateway::{
    FailureReason, MessageRef, Receipt, ReceiptError, StatusUpdate, WebhookRequest,
};
use crate::messages::status::Status;
use crate::platform::json::{self, UntrustedJson};
use crate::platform::vault::constant_time_eq;

/// Prefix of our own message ids.
const MESSAGE_ID_PREFIX: &str = "msg_";

/// Authenticates and parses a receipt as the settings describe it.
pub fn parse(
    settings: &HttpReceiptConfig,
    request: &WebhookRequest<'_>,
) -> Result<Receipt, ReceiptError> {
    let fields: Vec<Fields> =
        authenticate(settings, request)?.into_iter().map(Fields::parse).collect();
    let field = |name: &str| fields.iter().find_map(|fields| fields.get(name));
    let id = field(&settings.id).filter(|id| is_valid_gateway_id(id));
    let id = id.ok_or(ReceiptError::Unreadable("it has no id where one is expected"))?;
    let status = field(&settings.status);
    let status =
        status.ok_or(ReceiptError::Unreadable("it has no status where one is expected"))?;
    let status = status.trim().to_lowercase();
    let (message, gateway_id) = match id.starts_with(MESSAGE_ID_PREFIX) {
        true => (MessageRef::ClientReference(id), None),
        false => (MessageRef::GatewayId(id.clone()), Some(id)),
    };
    let update = settings.status_map.get(&status).copied().and_then(stored_status);
    let update = update.map(|(stored, description)| StatusUpdate {
        status: stored,
        reason: description.map(|text| FailureReason::with_code(status, text)),
        gateway_id,
    });
    Ok(Receipt { message, update })
}

/// The message status for a mapped one, and a description if it is a failure.
fn stored_status(status: MappedStatus) -> Option<(Status, Option<&'static str>)> {
    Some(match status {
        MappedStatus::Ignored => return None,
        MappedStatus::Sent => (Status::Sent, None),
        MappedStatus::Delivered => (Status::Delivered, None),
        MappedStatus::Undelivered => {
            (Status::Undelivered, Some("the gateway could not bring it to the phone"))
        }
        MappedStatus::Failed => (Status::Failed, Some("the gateway gave it up")),
    })
}

/// Authenticates a receipt and returns its authenticated parts, in order of precedence.
fn authenticate<'a>(
    settings: &HttpReceiptConfig,
    request: &WebhookRequest<'a>,
) -> Result<Vec<&'a [u8]>, ReceiptError> {
    let (body, query) = (request.body, request.query.as_bytes());
    let credentials =
        || request.headers.get_all(&settings.header).iter().map(HeaderValue::as_bytes);
    let secret = settings.secret.expose_secret().as_bytes();
    if credentials()
        .chain(bearer_token(request.headers))
        .any(|credential| constant_time_eq(credential, secret))
    {
        return Ok(vec![body, query]);
    }
    // A signature covers only the body, so a query beside it is not authenticated.
    let signed = if body.is_empty() { query } else { body };
    match credentials().any(|credential| is_signature(credential, &settings.secret, signed)) {
        true => Ok(vec![signed]),
        false => Err(ReceiptError::Forged("it shows neither the secret nor a signature by it")),
    }
}

/// The token of `Authorization: Bearer` (RFC 6750).
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim().as_bytes())
}

/// Whether a credential is the HMAC-SHA256 of `signed` in hex or base64, with or without `sha256=`.
fn is_signature(credential: &[u8], secret: &SecretString, signed: &[u8]) -> bool {
    let credential = credential.strip_prefix(b"sha256=").unwrap_or(credential);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, signed);
    let decoded = [HEXLOWER_PERMISSIVE.decode(credential), BASE64.decode(credential)];
    decoded.iter().flatten().any(|decoded| constant_time_eq(decoded, tag.as_ref()))
}

/// Fields of a part of a receipt.
enum Fields {
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Fields {
    /// Parses a JSON object or array, or else a form or query.
    fn parse(part: &[u8]) -> Self {
        match json::from_slice(part) {
            Ok(UntrustedJson(value @ (Value::Object(_) | Value::Array(_)))) => Self::Json(value),
            _ => Self::Form(form_urlencoded::parse(part).into_owned().collect()),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Json(value) => text_at_path(value, name),
            Self::Form(fields) => Some(fields.iter().find(|(field, _)| field == name)?.1.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SECRET: &str = "correct horse";

    fn settings() -> HttpReceiptConfig {
        let statuses = [
            ("ignored", MappedStatus::Ignored),
            ("1", MappedStatus::Sent),
            ("delivrd", MappedStatus::Delivered),
            ("undeliv", MappedStatus::Undelivered),
            ("rejectd", MappedStatus::Failed),
        ];
        HttpReceiptConfig {
            id: "id".into(),
            status: "status".into(),
            status_map: statuses.map(|(name, meaning)| (name.to_owned(), meaning)).into(),
            header: "X-Receipt-Signature".into(),
            secret: SECRET.into(),
        }
    }

    fn parse_with(
        settings: &HttpReceiptConfig,
        header: (&str, &str),
        query: &str,
        body: &str,
    ) -> Result<Receipt, ReceiptError> {
        let mut headers = HeaderMap::new();
        let name: reqwest::header::HeaderName = header.0.parse().expect("a name");
        headers.insert(name, header.1.parse().expect("a value"));
        parse(
            settings,
            &WebhookRequest {
                url: format!("https://switchboard.example/webhooks/sms/http?{query}"),
                query,
                headers: &headers,
                body: body.as_bytes(),
                now: DateTime::UNIX_EPOCH,
            },
        )
    }

    /// Parses a receipt that is authenticated by the secret.
    fn parse_authenticated(query: &str, body: &str) -> Result<Receipt, ReceiptError> {
        parse_with(&settings(), ("X-Receipt-Signature", SECRET), query, body)
    }

    fn hmac_tag(signed: &str) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::sign(&key, signed.as_bytes())
    }

    fn delivered_receipt(message: MessageRef) -> Receipt {
        let gateway_id = match &message {
            MessageRef::ClientReference(_) => None,
            MessageRef::GatewayId(id) => Some(id.clone()),
        };
        Receipt {
            message,
            update: Some(StatusUpdate { status: Status::Delivered, reason: None, gateway_id }),
        }
    }

    #[test]
    fn receipts_can_be_query_form_or_json() {
        let ours = delivered_receipt(MessageRef::ClientReference("msg_1".into()));
        for (query, body) in [
            ("id=msg_1&status=DELIVRD", ""),
            ("", "status=delivrd&id=msg%5F1&more=1"),
            ("", r#"{"id": "msg_1", "status": "Delivrd"}"#),
            ("id=msg_1", "status=DELIVRD"),
            ("id=msg_2", "id=msg_1&status=DELIVRD"),
        ] {
            assert_eq!(parse_authenticated(query, body), Ok(ours.clone()), "{query} {body}");
        }
        assert_eq!(
            parse_authenticated("id=77&status=DELIVRD", ""),
            Ok(delivered_receipt(MessageRef::GatewayId("77".into()))),
            "an id that is not ours is the gateway's"
        );
    }

    #[test]
    fn json_fields_can_be_nested() {
        let settings = HttpReceiptConfig {
            id: "data.0.id".into(),
            status: "data.0.to.state".into(),
            ..settings()
        };
        let parse = |body| parse_with(&settings, ("X-Receipt-Signature", SECRET), "", body);
        let receipt = parse(r#"{"data": [{"id": 77, "to": {"state": 1}}]}"#).expect("genuine");
        assert_eq!(receipt.message, MessageRef::GatewayId("77".into()));
        assert_eq!(receipt.update.expect("known").status, Status::Sent);
        assert!(parse(r#"{"data": {"0": {"id": 77, "to": {"state": 1}}}}"#).is_ok());
        assert!(parse(r#"{"data": []}"#).is_err());
    }

    #[test]
    fn failures_have_a_reason_and_unknown_statuses_are_ignored() {
        let update = |status: &str| {
            parse_authenticated(&format!("id=7&status={status}"), "").expect("good").update
        };
        let reason = |text: &str, why: &str| Some(FailureReason::with_code(text, why));
        let undelivered = update("UNDELIV").expect("known");
        assert_eq!(undelivered.status, Status::Undelivered);
        assert_eq!(
            undelivered.reason,
            reason("undeliv", "the gateway could not bring it to the phone")
        );
        let failed = update("+rejectd+").expect("known");
        assert_eq!(failed.status, Status::Failed);
        assert_eq!(failed.reason, reason("rejectd", "the gateway gave it up"));
        for status in ["ignored", "new-in-2030", ""] {
            assert_eq!(update(status), None, "{status}");
        }
    }

    #[test]
    fn receipts_without_id_or_status_are_unreadable() {
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
            assert!(
                matches!(parse_authenticated(query, body), Err(ReceiptError::Unreadable(_))),
                "{query} {body}"
            );
        }
    }

    #[test]
    fn receipts_need_the_secret_or_a_signature() {
        const BODY: &str = "id=msg_1&status=delivrd";
        let tag = hmac_tag(BODY);
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
            let in_body = parse_with(&settings(), (name, value), "", BODY);
            assert!(in_body.is_ok(), "{name}: {value}");
            // Without a body, the query is signed.
            let in_query = parse_with(&settings(), (name, value), BODY, "");
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
            let result = parse_with(&settings(), (name, value), "", BODY);
            assert!(matches!(result, Err(ReceiptError::Forged(_))), "{name}: {value}");
        }
        let other = parse_with(&settings(), (header, &hex), "", "id=msg_2&status=delivrd");
        assert!(matches!(other, Err(ReceiptError::Forged(_))), "another body");
    }

    #[test]
    fn signatures_match_the_rfc_4231_test_vector() {
        // RFC 4231, test case 2.
        let signature = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let secret = SecretString::from("Jefe");
        assert!(is_signature(signature, &secret, b"what do ya want for nothing?"));
        assert!(!is_signature(signature, &secret, b"what do ya want for something?"));
    }

    #[test]
    fn queries_beside_a_signed_body_are_ignored() {
        const BODY: &str = "status=delivrd";
        let hex = data_encoding::HEXLOWER.encode(hmac_tag(BODY).as_ref());
        let signed = parse_with(&settings(), ("X-Receipt-Signature", &hex), "id=msg_1", BODY);
        assert!(matches!(signed, Err(ReceiptError::Unreadable(_))));
        assert!(
            parse_authenticated("id=msg_1", BODY).is_ok(),
            "the secret authenticates the query too"
        );
    }
}
