//! Phone numbers as people write them, at every door.

use serde_json::{Value, json};

use crate::support::codes::given;
use crate::support::socket::MODERN;
use crate::support::{Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

const ANN: &str = "+31612345678";
/// One mobile number of Argentina, as it is called from abroad and at home.
const WITH_9: &str = "+5491123456789";
const ARGENTINA: [&str; 4] =
    ["+54 9 11 2345-6789", "+54 11 2345-6789", "+54 11 15 2345-6789", "tel:+54-9-11-2345-6789"];
/// One number of Mexico, with and without the old 1.
const WITH_1: &str = "+5215512345678";
const WITHOUT_1: &str = "+525512345678";

/// Ways to write Ann's number that carry its country.
const WRITTEN: [&str; 16] = [
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
    // More of what nobody sees than a number is long.
    "\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}\u{200e}+31612345678",
];

async fn profile_of(caller: &Caller) -> Value {
    let page = caller.send(query!("contacts"), json!({})).await;
    page.data("/me/contacts/nodes/0/profile").clone()
}

#[tokio::test]
async fn every_input_reads_a_number_alike() {
    on_each_database(async |app| {
        let (ann, bob) = (app.verified("ann", ANN).await, app.signed_in("bob").await);
        let id = ann.send(query!("me"), json!({})).await.data("/me/id").clone();
        let asked = app.anonymous().forgot_password(ANN).await;
        for (number, written) in WRITTEN.into_iter().enumerate() {
            let taken = app.anonymous().sign_up(json!({ "phone": written })).await;
            assert_eq!(taken.errors(), ["IDENTIFIER_TAKEN phone"], "{written:?}");
            let taken = bob.add_phone(written, PASSWORD).await;
            assert_eq!(taken.errors(), ["IDENTIFIER_TAKEN phone"], "{written:?}");
            let login = app.anonymous().log_in(written, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), &id, "{written:?}");
            let forgot = app.anonymous().forgot_password(written).await;
            let challenge = "/forgotPassword/id";
            assert_eq!(forgot.data(challenge), asked.data(challenge), "{written:?}");
            let added = bob.add_contact("Ann", written).await;
            match number {
                0 => {
                    assert_eq!(added.text("/addContact/phone"), ANN);
                    let uri = added.text("/addContact/lookup/rfc3966");
                    app.anonymous().log_in(uri, PASSWORD).await.data("/login/user");
                }
                _ => assert_eq!(added.errors(), ["CONFLICT phone"], "{written:?}"),
            }
            let found = bob.send(query!("contacts"), json!({ "search": written })).await;
            assert_eq!(found.data("/me/contacts/totalCount"), 1, "{written:?}");
        }
        // As an identifier alone, which nothing else can be.
        for written in ["31612345678", "31 6 1234 5678", "\u{663}\u{661}612345678"] {
            let login = app.anonymous().log_in(written, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), &id, "{written:?}");
            let refused = bob.add_contact("Ann", written).await;
            assert_eq!(refused.extension("reason"), "INVALID_COUNTRY_CODE", "{written:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_number_without_its_country_is_refused_and_the_reason_says_so() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for written in ["0612345678", "06 12345678", "612345678", "tel:06-12345678"] {
            for refused in [
                app.anonymous().sign_up(json!({ "phone": written })).await,
                ann.add_phone(written, PASSWORD).await,
                ann.add_contact("Bob", written).await,
            ] {
                assert_eq!(refused.errors(), ["INVALID_PHONE_NUMBER phone"], "{written}");
                assert_eq!(refused.extension("reason"), "INVALID_COUNTRY_CODE", "{written}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_default_region_is_tried_first() {
    on_each_shared_database(async |place| {
        let app = TestApp::with(place, &[("DEFAULT_REGION", "US")]).await;
        for (first, e164, others) in [
            ("(201) 555-0123", "+12015550123", ["2015550123", "tel:2015550123", "12015550123"]),
            ("0031612345678", ANN, ["31612345678", "011 31 612345678", ANN]),
        ] {
            let signup = app.anonymous().sign_up(json!({ "phone": first })).await;
            assert_eq!(signup.text("/signup/user/phone"), e164);
            for written in others {
                let login = app.anonymous().log_in(written, PASSWORD).await;
                assert_eq!(
                    login.data("/login/user/id"),
                    signup.data("/signup/user/id"),
                    "{written}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn argentinas_9_is_stored_for_an_account_and_never_compared() {
    on_each_database(async |app| {
        let without = "+541123456789";
        let ann = app.verified_as("ann", ARGENTINA[1], WITH_9).await;
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(me.text("/me/phone"), WITH_9, "an SMS reaches the form with the 9");
        let asked = app.anonymous().forgot_password(WITH_9).await;
        let bob = app.signed_in("bob").await;
        for written in ARGENTINA {
            let taken = app.anonymous().sign_up(json!({ "phone": written })).await;
            assert_eq!(taken.errors(), ["IDENTIFIER_TAKEN phone"], "{written}");
            assert_eq!(
                bob.add_phone(written, PASSWORD).await.errors(),
                ["IDENTIFIER_TAKEN phone"],
                "{written}"
            );
            let login = app.anonymous().log_in(written, PASSWORD).await;
            assert_eq!(login.data("/login/user/id"), me.data("/me/id"), "{written}");
            let forgot = app.anonymous().forgot_password(written).await;
            assert_eq!(forgot.data("/forgotPassword/id"), asked.data("/forgotPassword/id"));
        }
        let added = bob.add_contact("Ann", without).await;
        assert_eq!(added.text("/addContact/phone"), without, "a contact's is kept as given");
        assert_eq!(added.text("/addContact/profile/displayName"), "ann");
        for written in ARGENTINA {
            let again = bob.add_contact("Ann", written).await;
            assert_eq!(again.errors(), ["CONFLICT phone"], "{written}");
            let found = bob.send(query!("contacts"), json!({ "search": written })).await;
            assert_eq!(found.data("/me/contacts/totalCount"), 1, "{written}");
        }

        let serving = app.serve().await;
        let mut of_ann = serving.let_in(MODERN, bob.token.as_deref()).await;
        let id = json!({ "userId": me.data("/me/id") });
        of_ann.subscribe("1", query!("avatar_changed"), id).await;
        assert_eq!(of_ann.data("1").await["avatarChanged"]["version"], 0);
        let mut of_contacts = serving.let_in(MODERN, bob.token.as_deref()).await;
        of_contacts.subscribe("1", query!("contact_avatar_changed"), json!({})).await;
        assert_eq!(of_contacts.data("1").await["contactAvatarChanged"]["version"], 0);
        ann.upload_picture(1).await;
        assert_eq!(of_ann.data("1").await["avatarChanged"]["version"], 1);
        assert_eq!(of_contacts.data("1").await["contactAvatarChanged"]["version"], 1);
    })
    .await;
}

#[tokio::test]
async fn mexicos_old_1_is_kept_as_given_and_never_compared() {
    on_each_database(async |app| {
        for (name, ours, others) in [("ann", WITH_1, WITHOUT_1), ("cid", WITHOUT_1, WITH_1)] {
            let ann = app.verified(name, ours).await;
            let me = ann.send(query!("me"), json!({})).await;
            assert_eq!(me.text("/me/phone"), ours);
            for written in [ours, others] {
                let taken = app.anonymous().sign_up(json!({ "phone": written })).await;
                assert_eq!(taken.errors(), ["IDENTIFIER_TAKEN phone"], "{written}");
                let login = app.anonymous().log_in(written, PASSWORD).await;
                assert_eq!(login.data("/login/user/id"), me.data("/me/id"), "{written}");
            }
            let friend = app.signed_in(&format!("friend_of_{name}")).await;
            let added = friend.add_contact("Friend", others).await;
            assert_eq!(added.text("/addContact/phone"), others);
            assert_eq!(added.text("/addContact/lookup/countryCode"), "MX");
            assert_eq!(added.text("/addContact/profile/displayName"), name);
            assert_eq!(friend.add_contact("Friend", ours).await.errors(), ["CONFLICT phone"]);

            let code = ann.proven("DELETE_ACCOUNT", ours).await;
            let input = json!({ "input": { "password": PASSWORD, "verification": code } });
            ann.send(query!("delete_account"), input).await.data("/deleteAccount");
            assert_eq!(profile_of(&friend).await, Value::Null);
            app.advance(std::time::Duration::from_hours(24)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn codes_are_limited_by_the_number_however_it_is_written() {
    on_each_shared_database(async |place| {
        let app = TestApp::with(place, &[("LIMIT_CODES_PER_NUMBER", "1")]).await;
        let first = app.anonymous().sign_up(json!({ "phone": WITH_1 })).await;
        assert!(first.data("/signup/challenge").is_object());
        let gone = json!({ "input": { "password": PASSWORD } });
        let first = app.bearing(first.text("/signup/accessToken"));
        first.send(query!("delete_account"), gone).await.data("/deleteAccount");
        let second = app.anonymous().sign_up(json!({ "phone": WITHOUT_1 })).await;
        assert_eq!(second.data("/signup/challenge"), &Value::Null, "its code went to the first");
    })
    .await;
}

#[tokio::test]
async fn messages_are_found_by_any_form_of_their_number() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.with_phone("ann", WITH_1).await;
        for written in [WITH_1, WITHOUT_1, "tel:+52-55-1234-5678"] {
            let filter = json!({ "filter": { "phone": written } });
            let found = admin.send(query!("messages"), filter).await;
            assert_eq!(found.text("/messages/nodes/0/to"), WITH_1, "{written}");
        }
    })
    .await;
}

#[tokio::test]
async fn neither_a_number_nor_its_key_is_ever_changed() {
    on_each_database(async |app| {
        app.with_phone("ann", ANN).await;
        for change in ["phone_key = '+31600000000'", "phone_key = NULL", "phone = NULL"] {
            let done = app.sql(&format!("UPDATE users SET {change} WHERE nickname = 'ann'")).await;
            assert!(done.is_err(), "{change}");
        }
    })
    .await;
}

impl TestApp {
    /// Signs up by a phone as it is written, and answers the code that goes to the number that is stored.
    async fn verified_as(&self, nickname: &str, written: &str, stored: &str) -> Caller {
        let (caller, answer) = self.with_phone(nickname, written).await;
        let code = self.code_to(stored).await;
        let verification = given(answer.text("/signup/challenge/id"), &code);
        caller.verify_phone(&verification).await.data("/verifyPhone");
        caller
    }
}
