//! Phone numbers in all inputs: notations, optional digits and missing country codes.

use serde_json::{Value, json};

use crate::support::codes::verification;
use crate::support::socket::MODERN;
use crate::support::{Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN_PHONE: &str = "+31612345678";
/// A mobile number of Argentina, with the 9 of international notation.
const ARGENTINA_WITH_9: &str = "+5491123456789";
const ARGENTINA_NOTATIONS: [&str; 4] =
    ["+54 9 11 2345-6789", "+54 11 2345-6789", "+54 11 15 2345-6789", "tel:+54-9-11-2345-6789"];
/// A number of Mexico, with and without the former 1.
const MEXICO_WITH_1: &str = "+5215512345678";
const MEXICO_WITHOUT_1: &str = "+525512345678";

/// Notations of Ann's number with its country code.
const NOTATIONS: [&str; 16] = [
    "\u{202a}+31 6 12345678\u{202c}",
    "\u{200e}+31612345678\u{200f}",
    "\u{2068}+31\u{2011}6\u{2011}12345678\u{2069}",
    "+31\u{fe0f}612345678",
    "+31\u{3000}6\u{a0}12345678",
    "\u{ff0b}31 (0)6 12345678",
    "+\u{663}\u{661} \u{666} \u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}",
    "tel:+31-6-12345678",
    "tel:06-12345678;phone-context=+31",
    "0031612345678",
    "00 31 (0)6-1234 5678",
    "+0031 612345678",
    "+31\t6 1234\n5678",
    "+31\u{2028}612345678\u{85}",
    "+31612345678\0",
    // More invisible characters than the maximum length of a number.
    "\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}+31612345678",
];

async fn profile_of(caller: &Caller) -> Value {
    let page = caller.send(query!("contacts"), json!({})).await;
    page.data("/me/contacts/nodes/0/profile").clone()
}

#[tokio::test]
async fn every_input_accepts_all_notations() {
    on_each_database(async |app| {
        let (ann, bob) =
            (app.with_verified_phone("ann", ANN_PHONE).await, app.signed_in("bob").await);
        let id = ann.send(query!("me"), json!({})).await.data("/me/id").clone();
        let first_reset = app.anonymous().forgot_password(ANN_PHONE).await;
        for (number, notation) in NOTATIONS.into_iter().enumerate() {
            let rejected = app.anonymous().sign_up(json!({ "phone": notation })).await;
            assert_eq!(rejected.errors(), ["IDENTIFIER_TAKEN phone"], "{notation:?}");
            let rejected = bob.add_phone(notation, PASSWORD).await;
            assert_eq!(rejected.errors(), ["IDENTIFIER_TAKEN phone"], "{notation:?}");
            let login = app.anonymous().log_in(notation, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), &id, "{notation:?}");
            let reset = app.anonymous().forgot_password(notation).await;
            let challenge_id = "/forgotPassword/id";
            assert_eq!(reset.data(challenge_id), first_reset.data(challenge_id), "{notation:?}");
            let added = bob.add_contact("Ann", notation).await;
            match number {
                0 => {
                    assert_eq!(added.text("/addContact/phone"), ANN_PHONE);
                    let uri = added.text("/addContact/lookup/rfc3966");
                    app.anonymous().log_in(uri, PASSWORD).await.data("/login/user");
                }
                _ => assert_eq!(added.errors(), ["CONFLICT phone"], "{notation:?}"),
            }
            let results = bob.send(query!("contacts"), json!({ "search": notation })).await;
            assert_eq!(results.data("/me/contacts/totalCount"), 1, "{notation:?}");
        }
        // A missing plus is only accepted for a login identifier, which is unambiguous.
        for notation in ["31612345678", "31 6 1234 5678", "\u{663}\u{661}612345678"] {
            let login = app.anonymous().log_in(notation, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), &id, "{notation:?}");
            let rejected = bob.add_contact("Ann", notation).await;
            assert_eq!(rejected.extension("reason"), "INVALID_COUNTRY_CODE", "{notation:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_without_a_country_code_are_rejected() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for notation in ["0612345678", "06 12345678", "612345678", "tel:06-12345678"] {
            for rejected in [
                app.anonymous().sign_up(json!({ "phone": notation })).await,
                ann.add_phone(notation, PASSWORD).await,
                ann.add_contact("Bob", notation).await,
            ] {
                assert_eq!(rejected.errors(), ["INVALID_PHONE_NUMBER phone"], "{notation}");
                assert_eq!(rejected.extension("reason"), "INVALID_COUNTRY_CODE", "{notation}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_default_region_is_tried_first() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("DEFAULT_REGION", "US")]).await;
        for (first_notation, e164, other_notations) in [
            ("(201) 555-0123", "+12015550123", ["2015550123", "tel:2015550123", "12015550123"]),
            ("0031612345678", ANN_PHONE, ["31612345678", "011 31 612345678", ANN_PHONE]),
        ] {
            let signup = app.anonymous().sign_up(json!({ "phone": first_notation })).await;
            assert_eq!(signup.text("/signup/user/phone"), e164);
            for notation in other_notations {
                let login = app.anonymous().log_in(notation, PASSWORD).await;
                assert_eq!(
                    login.data("/login/user/id"),
                    signup.data("/signup/user/id"),
                    "{notation}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn argentinas_9_is_stored_for_accounts_but_not_compared() {
    on_each_database(async |app| {
        let without_9 = "+541123456789";
        let ann = app.verified_as("ann", ARGENTINA_NOTATIONS[1], ARGENTINA_WITH_9).await;
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(me.text("/me/phone"), ARGENTINA_WITH_9, "an SMS reaches the form with the 9");
        let first_reset = app.anonymous().forgot_password(ARGENTINA_WITH_9).await;
        let bob = app.signed_in("bob").await;
        for notation in ARGENTINA_NOTATIONS {
            let rejected = app.anonymous().sign_up(json!({ "phone": notation })).await;
            assert_eq!(rejected.errors(), ["IDENTIFIER_TAKEN phone"], "{notation}");
            assert_eq!(
                bob.add_phone(notation, PASSWORD).await.errors(),
                ["IDENTIFIER_TAKEN phone"],
                "{notation}"
            );
            let login = app.anonymous().log_in(notation, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), me.data("/me/id"), "{notation}");
            let reset = app.anonymous().forgot_password(notation).await;
            assert_eq!(reset.data("/forgotPassword/id"), first_reset.data("/forgotPassword/id"));
        }
        let added = bob.add_contact("Ann", without_9).await;
        assert_eq!(
            added.text("/addContact/phone"),
            without_9,
            "a contact's number is stored as entered"
        );
        assert_eq!(added.text("/addContact/profile/displayName"), "ann");
        for notation in ARGENTINA_NOTATIONS {
            let duplicate = bob.add_contact("Ann", notation).await;
            assert_eq!(duplicate.errors(), ["CONFLICT phone"], "{notation}");
            let results = bob.send(query!("contacts"), json!({ "search": notation })).await;
            assert_eq!(results.data("/me/contacts/totalCount"), 1, "{notation}");
        }

        let server = app.serve().await;
        let mut avatar_socket = server.initialized_socket(MODERN, bob.token.as_deref()).await;
        let variables = json!({ "userId": me.data("/me/id") });
        avatar_socket.subscribe("1", query!("avatar_changed"), variables).await;
        assert_eq!(avatar_socket.data("1").await["avatarChanged"]["version"], 0);
        let mut contacts_socket = server.initialized_socket(MODERN, bob.token.as_deref()).await;
        contacts_socket.subscribe("1", query!("contact_avatar_changed"), json!({})).await;
        assert_eq!(contacts_socket.data("1").await["contactAvatarChanged"]["version"], 0);
        ann.upload_avatar_picture(1).await;
        assert_eq!(avatar_socket.data("1").await["avatarChanged"]["version"], 1);
        assert_eq!(contacts_socket.data("1").await["contactAvatarChanged"]["version"], 1);
    })
    .await;
}

#[tokio::test]
async fn mexicos_former_1_is_stored_but_not_compared() {
    on_each_database(async |app| {
        for (name, number, other_notation) in
            [("ann", MEXICO_WITH_1, MEXICO_WITHOUT_1), ("cid", MEXICO_WITHOUT_1, MEXICO_WITH_1)]
        {
            let user = app.with_verified_phone(name, number).await;
            let me = user.send(query!("me"), json!({})).await;
            assert_eq!(me.text("/me/phone"), number);
            for notation in [number, other_notation] {
                let rejected = app.anonymous().sign_up(json!({ "phone": notation })).await;
                assert_eq!(rejected.errors(), ["IDENTIFIER_TAKEN phone"], "{notation}");
                let login = app.anonymous().log_in(notation, PASSWORD).await;
                assert_eq!(login.data("/login/user/id"), me.data("/me/id"), "{notation}");
            }
            let friend = app.signed_in(&format!("friend_of_{name}")).await;
            let added = friend.add_contact("Friend", other_notation).await;
            assert_eq!(added.text("/addContact/phone"), other_notation);
            assert_eq!(added.text("/addContact/lookup/countryCode"), "MX");
            assert_eq!(added.text("/addContact/profile/displayName"), name);
            friend.add_contact("Friend", number).await.assert_error("CONFLICT", "phone");

            let code = user.obtain_verification("DELETE_ACCOUNT", number).await;
            let input = json!({ "input": { "password": PASSWORD, "verification": code } });
            user.send(query!("delete_account"), input).await.data("/deleteAccount");
            assert_eq!(profile_of(&friend).await, Value::Null);
            app.advance(std::time::Duration::from_hours(24)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn codes_are_limited_per_number_in_any_notation() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("LIMIT_CODES_PER_NUMBER", "1")]).await;
        let first = app.anonymous().sign_up(json!({ "phone": MEXICO_WITH_1 })).await;
        assert!(first.data("/signup/challenge").is_object());
        let input = json!({ "input": { "password": PASSWORD } });
        let first = app.with_token(first.text("/signup/accessToken"));
        first.send(query!("delete_account"), input).await.data("/deleteAccount");
        let second = app.anonymous().sign_up(json!({ "phone": MEXICO_WITHOUT_1 })).await;
        assert_eq!(
            second.data("/signup/challenge"),
            &Value::Null,
            "the code of this number was sent to the first account"
        );
    })
    .await;
}

#[tokio::test]
async fn messages_are_found_by_any_notation() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.signed_up_with_phone("ann", MEXICO_WITH_1).await;
        for notation in [MEXICO_WITH_1, MEXICO_WITHOUT_1, "tel:+52-55-1234-5678"] {
            let filter = json!({ "filter": { "phone": notation } });
            let results = admin.send(query!("messages"), filter).await;
            assert_eq!(results.text("/messages/nodes/0/to"), MEXICO_WITH_1, "{notation}");
        }
    })
    .await;
}

#[tokio::test]
async fn phone_numbers_and_keys_cannot_be_updated() {
    on_each_database(async |app| {
        app.signed_up_with_phone("ann", ANN_PHONE).await;
        for change in ["phone_key = '+31600000000'", "phone_key = NULL", "phone = NULL"] {
            let updated =
                app.sql(&format!("UPDATE users SET {change} WHERE nickname = 'ann'")).await;
            assert!(updated.is_err(), "{change}");
        }
    })
    .await;
}

impl TestApp {
    /// Signs up with a phone in some notation and verifies it with the code sent to the stored number.
    async fn verified_as(&self, nickname: &str, notation: &str, stored: &str) -> Caller {
        let (caller, response) = self.signed_up_with_phone(nickname, notation).await;
        let code = self.latest_code(stored).await;
        let verification = verification(response.text("/signup/challenge/id"), &code);
        caller.verify_phone(&verification).await.data("/verifyPhone");
        caller
    }
}
