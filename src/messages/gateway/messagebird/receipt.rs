//! Delivery receipts of MessageBird (status reports): a GET request, signed by `MessageBird-Signature-JWT`.
//!
//! The token (a JWS with HMAC) contains hashes of the URL and of the body, and is valid for a minute. The query has
//! more parameters than are documented; unknown ones are ignored.

use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use super::status::{failure_reason, parse_status};
use crate::messages::gateway::{MessageRef, Receipt, ReceiptError, StatusUpdate, WebhookRequest};
use crate::platform::clock::Timestamp;
use crate::platform::vault::{constant_time_eq, sha256};

const SIGNATURE: &str = "MessageBird-Signature-JWT";
const ISSUER: &str = "MessageBird";
/// Allowed clock difference, the same as in MessageBird's own libraries.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    nbf: i64,
    exp: i64,
    jti: String,
    url_hash: String,
    /// Absent when the body is empty.
    payload_hash: Option<String>,
}

/// Authenticates and parses a receipt. Replays are not detected, because a repeated receipt changes nothing.
pub(super) fn parse(
    key: Option<&SecretString>,
    request: &WebhookRequest<'_>,
) -> Result<Receipt, ReceiptError> {
    let key = key.ok_or(ReceiptError::Forged("there is no signing key to check it by"))?;
    authenticate(key, request)?;
    let field = |name: &str| {
        let mut pairs = form_urlencoded::parse(request.query.as_bytes());
        let (_, value) = pairs.find(|(key, value)| key == name && !value.is_empty())?;
        Some(value.into_owned())
    };
    let id = field("id");
    let message = match (field("reference"), &id) {
        (Some(reference), _) => MessageRef::ClientReference(reference),
        (None, Some(id)) => MessageRef::GatewayId(id.clone()),
        (None, None) => return Err(ReceiptError::Unreadable("it names no message")),
    };
    let gateway_status = field("status").ok_or(ReceiptError::Unreadable("it has no status"))?;
    let update = parse_status(&gateway_status).map(|status| {
        let code = field("statusErrorCode").and_then(|code| code.parse().ok());
        let reason = failure_reason(status, code, field("statusReason").as_deref());
        StatusUpdate { status, reason, gateway_id: id }
    });
    Ok(Receipt { message, update })
}

fn authenticate(key: &SecretString, request: &WebhookRequest<'_>) -> Result<(), ReceiptError> {
    let token =
        request.headers.get(SIGNATURE).ok_or(ReceiptError::Forged("it has no signature"))?;
    let claims = decode_claims(key, token.as_bytes())?;
    let matches_hash = |claim: &str, data: &[u8]| {
        constant_time_eq(claim.as_bytes(), HEXLOWER.encode(&sha256(data)).as_bytes())
    };
    let timestamp = |seconds| {
        Timestamp::from_timestamp(seconds, 0)
            .ok_or(ReceiptError::Forged("its signature is of no time"))
    };
    let (from, until) = (timestamp(claims.nbf)?, timestamp(claims.exp)?);
    let problem = match &claims.payload_hash {
        _ if claims.iss != ISSUER => "its signature is not by MessageBird",
        _ if claims.jti.is_empty() => "its signature has no id",
        _ if from > request.now + LEEWAY => "its signature is of the future",
        _ if until <= request.now - LEEWAY => "its signature is over",
        _ if !matches_hash(&claims.url_hash, request.url.as_bytes()) => {
            "it was signed for another URL"
        }
        None if !request.body.is_empty() => "its body is not signed",
        Some(_) if request.body.is_empty() => "the body that was signed is missing",
        Some(hash) if !matches_hash(hash, request.body) => {
            "its body is not the one that was signed"
        }
        _ => return Ok(()),
    };
    Err(ReceiptError::Forged(problem))
}

fn decode_claims(key: &SecretString, token: &[u8]) -> Result<Claims, ReceiptError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    // The library would use the system clock, so `authenticate` checks the time and the other claims.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(key.expose_secret().as_bytes());
    match decode(token, &key, &validation) {
        Ok(token) => Ok(token.claims),
        Err(_) => Err(ReceiptError::Forged("its signature is wrong")),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use data_encoding::BASE64URL_NOPAD;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::messages::gateway::FailureReason;
    use crate::messages::status::Status;

    /// Test vectors of MessageBird's own libraries (go-rest-api, signature_jwt/testdata/reference.json).
    const KEY: &str = "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb";
    const NOW: i64 = 1_625_479_200;
    const PLAIN: &str = "https://example.com/";
    const QUERY: &str = "https://example.com/path?bar=1&foo=2";
    const SPECIAL: &str =
        "https://example.com/?obj%5Bfield1%5D=val1&obj%5Bfield2%5D=val2&param=value+with+spaces";
    const HELLO: &str = "Hello, World!";
    const JTI: &str = "59a244dc-e9ad-4e23-9778-371faa238f72";
    const REPORT: &str = "https://api.example.com/webhooks/messagebird/status\
        ?id=efa6405d518d4c0c88cce11f7db775fb&reference=msg_1&recipient=31612345678\
        &status=delivered&statusDatetime=2017-09-01T10:00:05+00:00";

    fn hash(text: &str) -> String {
        HEXLOWER.encode(&sha256(text.as_bytes()))
    }

    /// Claims in MessageBird's JSON.
    fn claims(jti: &str, url: &str, body: &str) -> String {
        let payload = match body {
            "" => String::new(),
            _ => format!(r#","payload_hash":"{}""#, hash(body)),
        };
        let (until, url) = (NOW + 60, hash(url));
        format!(
            r#"{{"iss":"MessageBird","nbf":{NOW},"exp":{until},"jti":"{jti}","url_hash":"{url}"{payload}}}"#
        )
    }

    fn token(alg: &str, claims: &str) -> String {
        let algorithm = match alg {
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        let part = |data: &[u8]| BASE64URL_NOPAD.encode(data);
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
        let signed = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
        let key = hmac::Key::new(algorithm, KEY.as_bytes());
        let signature = part(hmac::sign(&key, signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    fn headers(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("messagebird-signature-jwt", token.parse().expect("a value"));
        headers
    }

    fn request<'a>(
        url: &'a str,
        headers: &'a HeaderMap,
        body: &'a str,
        now: i64,
    ) -> WebhookRequest<'a> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let now = Timestamp::from_timestamp(now, 0).expect("a time");
        WebhookRequest { url: url.into(), query, headers, body: body.as_bytes(), now }
    }

    fn check_signature(url: &str, token: &str, body: &str, now: i64) -> Result<(), ReceiptError> {
        authenticate(&KEY.into(), &request(url, &headers(token), body, now))
    }

    fn parse_signed(url: &str) -> Result<Receipt, ReceiptError> {
        let headers = headers(&token("HS256", &claims(JTI, url, "")));
        parse(Some(&KEY.into()), &request(url, &headers, "", NOW))
    }

    const WRONG_SIGNATURE: Result<(), ReceiptError> =
        Err(ReceiptError::Forged("its signature is wrong"));

    #[test]
    fn published_signatures_are_accepted() {
        assert_eq!(hash(PLAIN), "0f115db062b7c0dd030b16878c99dea5c354b49dc37b38eb8846179c7783e9d7");
        assert_eq!(hash(HELLO), "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f");
        let with_body = "93e55006-a0e8-4526-a190-fa5ff00ea116";
        let special_body = "Some text containg & < >, & and \\u0026";
        for (alg, jti, url, body, signature) in [
            ("HS256", JTI, PLAIN, "", "6Fp0rVOsRr1fj9S2GidXAfkmPVofKr8_RTffC6G6r2E"),
            (
                "HS384",
                JTI,
                PLAIN,
                "",
                "KNMW-29X77lZeuPmThmHWc_RUAvTkaDkpxIZK6mqE08v8mWKiU9Edh4QXwAJO2nv",
            ),
            (
                "HS512",
                JTI,
                PLAIN,
                "",
                "rd6r0iMyNGnVPCwurETphE3Y8rpAyvvnUK0S8WvGUkt2E1QSRAZ7NZJZBHw1Y_Wb5W-sK9HJr_PRL2vz4jRT3Q",
            ),
            ("HS256", with_body, QUERY, HELLO, "_H--TOuYFLpeEH39-rg5E3IHVkjHozBcaKVWPRC5m9I"),
            ("HS256", JTI, SPECIAL, "", "mJBCMfEjKmN3IMuzqPXPHktWETrcu0iNdF3agE8PDyI"),
            ("HS256", JTI, PLAIN, special_body, "IQiKzeEPaO3A48lhKmBDSmxZyCESPCGxdSKFdi0dEJs"),
        ] {
            let token = token(alg, &claims(jti, url, body));
            assert!(token.ends_with(&format!(".{signature}")), "{token}");
            assert_eq!(check_signature(url, &token, body, NOW), Ok(()), "{alg} {url} {body}");
        }
    }

    #[test]
    fn unsigned_urls_and_bodies_are_rejected() {
        let (plain, with_body) = (claims(JTI, PLAIN, ""), claims(JTI, PLAIN, HELLO));
        let query = claims(JTI, QUERY, "");
        for (claims, url, body, problem) in [
            (&query, "https://example.com/path?foo=2&bar=1", "", "it was signed for another URL"),
            (&query, "http://example.com/path?bar=1&foo=2", "", "it was signed for another URL"),
            (&plain, PLAIN, HELLO, "its body is not signed"),
            (&with_body, PLAIN, "", "the body that was signed is missing"),
            (&with_body, PLAIN, "Hello!", "its body is not the one that was signed"),
        ] {
            let result = check_signature(url, &token("HS256", claims), body, NOW);
            assert_eq!(result, Err(ReceiptError::Forged(problem)), "{url} {body}");
        }
    }

    #[test]
    fn signatures_are_valid_for_a_minute() {
        let genuine = token("HS256", &claims(JTI, PLAIN, ""));
        for (now, expected) in [
            (NOW - 6, Err(ReceiptError::Forged("its signature is of the future"))),
            (NOW - 5, Ok(())),
            (NOW + 64, Ok(())),
            (NOW + 65, Err(ReceiptError::Forged("its signature is over"))),
            (NOW + 3600, Err(ReceiptError::Forged("its signature is over"))),
        ] {
            assert_eq!(check_signature(PLAIN, &genuine, "", now), expected, "{now}");
        }
        let mut out_of_range: Value = serde_json::from_str(&claims(JTI, PLAIN, "")).expect("JSON");
        out_of_range["exp"] = json!(i64::MAX);
        let out_of_range = token("HS256", &out_of_range.to_string());
        let result = check_signature(PLAIN, &out_of_range, "", NOW);
        assert!(matches!(result, Err(ReceiptError::Forged(_))));
    }

    #[test]
    fn all_claims_are_required() {
        for (claim, value) in [
            ("iss", None),
            ("iss", Some("SomebodyElse")),
            ("nbf", None),
            ("exp", None),
            ("jti", None),
            ("jti", Some("")),
            ("url_hash", None),
            ("url_hash", Some("")),
        ] {
            let mut claims: Value = serde_json::from_str(&claims(JTI, PLAIN, "")).expect("JSON");
            match value {
                Some(value) => claims[claim] = json!(value),
                None => {
                    claims.as_object_mut().expect("an object").remove(claim).expect("the claim");
                }
            }
            let result = check_signature(PLAIN, &token("HS256", &claims.to_string()), "", NOW);
            assert!(matches!(result, Err(ReceiptError::Forged(_))), "{claim} {value:?}");
        }
    }

    #[test]
    fn signatures_with_another_key_or_algorithm_are_rejected() {
        let claims = claims(JTI, PLAIN, "");
        let genuine = token("HS256", &claims);
        let (signed, _) = genuine.rsplit_once('.').expect("a token");
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let none = part(r#"{"alg":"none","typ":"JWT"}"#);
        for wrong in [
            format!("{none}.{}.", part(&claims)),
            format!("{none}.{}", &genuine[genuine.find('.').expect("a dot") + 1..]),
            format!("{signed}."),
            signed.to_owned(),
            token("RS256", &claims),
            token("ES256", &claims),
            token("HS1", &claims),
            String::new(),
            "a.b.c".into(),
        ] {
            assert_eq!(check_signature(PLAIN, &wrong, "", NOW), WRONG_SIGNATURE, "{wrong}");
        }
        let (signed, unsigned) = (headers(&genuine), HeaderMap::new());
        let (signed, unsigned) =
            (request(PLAIN, &signed, "", NOW), request(PLAIN, &unsigned, "", NOW));
        assert_eq!(authenticate(&"another key".into(), &signed), WRONG_SIGNATURE);
        let missing = Err(ReceiptError::Forged("it has no signature"));
        assert_eq!(authenticate(&KEY.into(), &unsigned), missing);
        assert!(matches!(parse(None, &signed), Err(ReceiptError::Forged(_))));
    }

    #[test]
    fn unknown_parameters_are_ignored() {
        let expected = Receipt {
            message: MessageRef::ClientReference("msg_1".into()),
            update: Some(StatusUpdate {
                status: Status::Delivered,
                reason: None,
                gateway_id: Some("efa6405d518d4c0c88cce11f7db775fb".into()),
            }),
        };
        assert_eq!(parse_signed(REPORT), Ok(expected.clone()));
        let more = format!(
            "{REPORT}&statusErrorCode=&price%5Bamount%5D=0.075&mccmnc=62130&ported=0&=x&new"
        );
        assert_eq!(parse_signed(&more), Ok(expected));
    }

    #[test]
    fn statuses_are_mapped() {
        let update = |more: &str| {
            let url = REPORT.replace("status=delivered", more);
            parse_signed(&url).expect("genuine").update
        };
        let expected = |status, reason| {
            let gateway_id = Some("efa6405d518d4c0c88cce11f7db775fb".into());
            Some(StatusUpdate { status, reason, gateway_id })
        };
        for gateway_status in ["scheduled", "sent", "buffered"] {
            assert_eq!(
                update(&format!("status={gateway_status}")),
                expected(Status::Sent, None),
                "{gateway_status}"
            );
        }
        assert_eq!(update("status=something_new"), None);
        assert_eq!(
            update("status=delivery_failed&statusErrorCode=5"),
            expected(
                Status::Undelivered,
                Some(FailureReason::with_code(5, "MessageBird could not deliver it"))
            )
        );
        assert_eq!(
            update("status=expired&statusReason=unknown+subscriber&statusErrorCode=1"),
            expected(Status::Undelivered, Some(FailureReason::with_code(1, "unknown subscriber")))
        );
        assert_eq!(
            update("status=expired&statusReason=for+31612345678&statusErrorCode=x"),
            expected(
                Status::Undelivered,
                Some(FailureReason::new("MessageBird could not deliver it"))
            )
        );
    }

    #[test]
    fn messages_are_referenced_by_our_id_or_by_messagebirds() {
        let reference =
            |query| parse_signed(&format!("{PLAIN}?{query}")).map(|receipt| receipt.message);
        let gateway_id = Ok(MessageRef::GatewayId("id_1".into()));
        assert_eq!(
            reference("id=id_1&reference=msg_1&status=sent"),
            Ok(MessageRef::ClientReference("msg_1".into()))
        );
        assert_eq!(reference("id=id_1&status=sent"), gateway_id);
        assert_eq!(reference("id=id_1&reference=&status=sent"), gateway_id);
        assert!(matches!(reference("status=sent"), Err(ReceiptError::Unreadable(_))));
        assert!(matches!(reference("id=id_1"), Err(ReceiptError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn receipts_without_the_key_are_rejected(
            url in "https://[a-z/?&=%0-9]{0,40}", body in "[ -~]{0,20}", token in "[ -~]{0,80}",
        ) {
            let headers = headers(&token);
            let forged = parse(Some(&KEY.into()), &request(&url, &headers, &body, NOW));
            prop_assert!(matches!(forged, Err(ReceiptError::Forged(_))));
        }

        #[test]
        fn any_changed_character_is_detected(position in 0..REPORT.len(), other in "[a-z0-9]") {
            let mut url = REPORT.to_owned();
            url.replace_range(position..=position, &other);
            prop_assume!(url != REPORT);
            let token = token("HS256", &claims(JTI, REPORT, ""));
            prop_assert!(check_signature(&url, &token, "", NOW).is_err());
        }
    }
}
