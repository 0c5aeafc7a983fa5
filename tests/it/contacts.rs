//! Contacts: adding, listing, searching, renaming and removing.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Caller, TestApp, on_each_database, on_each_shared_database, query};

async fn contact_names(caller: &Caller, variables: Value) -> Vec<String> {
    let page = caller.send(query!("contacts"), variables).await;
    let nodes = page.nodes("/me/contacts");
    nodes.iter().map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn contacts_are_saved_with_the_lookup_of_their_number() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let added = ann.add_contact(" Bob ", "+31 (0)6 8765-4321").await;
        assert_eq!(
            added.data("/addContact"),
            &json!({
                "id": added.data("/addContact/id"),
                "name": "Bob",
                "phone": "+31687654321",
                "lookup": {
                    "countryCode": "NL", "countryPrefix": 31, "type": "MOBILE", "international": "+31 6 87654321",
                    "national": "06 87654321", "rfc3966": "tel:+31-6-87654321", "source": "offline",
                    "checkedAt": "2026-01-02T03:04:05Z",
                },
                "profile": null,
                "createdAt": "2026-01-02T03:04:05Z",
            })
        );
        let national = json!({ "input": { "name": "Cid", "phone": "020 794 0800", "countryCode": "nl" } });
        let landline = ann.send(query!("add_contact"), national).await;
        assert_eq!(landline.text("/addContact/lookup/type"), "FIXED_LINE", "a contact need not receive SMS");
    })
    .await;
}

#[tokio::test]
async fn invalid_input_is_reported_by_field_and_saves_nothing() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for (input, errors) in [
            (
                json!({ "name": "", "phone": "" }),
                &["BAD_USER_INPUT name", "INVALID_PHONE_NUMBER phone"][..],
            ),
            (json!({ "name": "a\u{7}", "phone": "+31687654321" }), &["BAD_USER_INPUT name"]),
            (json!({ "name": "x".repeat(101), "phone": "+31687654321" }), &["BAD_USER_INPUT name"]),
            (
                json!({ "name": "Bob", "phone": "0687654321", "countryCode": "XX" }),
                &["INVALID_PHONE_NUMBER phone", "BAD_USER_INPUT countryCode"],
            ),
            (json!({ "name": "Bob", "phone": "0687654321" }), &["INVALID_PHONE_NUMBER phone"]),
        ] {
            assert_eq!(
                ann.send(query!("add_contact"), json!({ "input": input })).await.errors(),
                errors,
                "{input}"
            );
        }
        for (phone, reason) in [
            ("0687654321", "INVALID_COUNTRY_CODE"),
            ("+316876543210000000", "TOO_LONG"),
            ("+31 6 1", "TOO_SHORT"),
            ("+1 000 000 0000", "NOT_IN_USE"),
            ("hello", "NOT_A_NUMBER"),
            ("+31 900 1234567", "NOT_CALLABLE"),
        ] {
            let rejected = ann.add_contact("Bob", phone).await;
            assert_eq!(rejected.errors(), ["INVALID_PHONE_NUMBER phone"], "{phone}");
            assert_eq!(rejected.extension("reason"), reason, "{phone}");
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM contacts").await, 0);
        app.anonymous().add_contact("Bob", "").await.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_can_be_added_once_per_owner() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let ann = app.signed_in("ann").await;
        let requests = (0..10).map(|_| {
            let ann = ann.clone();
            tokio::spawn(async move { ann.add_contact("Bob", "+31687654321").await.errors() })
        });
        let results: Vec<_> =
            join_all(requests).await.into_iter().map(|errors| errors.expect("no panic")).collect();
        assert_eq!(results.iter().filter(|errors| errors.is_empty()).count(), 1);
        assert_eq!(results.iter().filter(|errors| errors[..] == ["CONFLICT phone"]).count(), 9);
        app.signed_in("eve").await.add_contact("Bob", "+31687654321").await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_can_change_a_contact() {
    on_each_database(async |app| {
        let (ann, eve) = (app.signed_in("ann").await, app.signed_in("eve").await);
        let added = ann.add_contact("Bob", "+31687654321").await;
        let id = added.text("/addContact/id");
        let unknown_id = "cnt_00000000000000000000000000";
        for (caller, id) in [(&eve, id), (&ann, unknown_id), (&ann, "cnt_x"), (&ann, "")] {
            let rename = caller
                .send(query!("update_contact"), json!({ "input": { "id": id, "name": "X" } }))
                .await;
            assert_eq!(rename.errors(), ["NOT_FOUND"], "{id}");
            assert_eq!(
                caller.send(query!("remove_contact"), json!({ "id": id })).await.errors(),
                ["NOT_FOUND"],
                "{id}"
            );
        }
        let empty_name =
            ann.send(query!("update_contact"), json!({ "input": { "id": id, "name": "" } })).await;
        empty_name.assert_error("BAD_USER_INPUT", "name");
        let renamed = ann
            .send(query!("update_contact"), json!({ "input": { "id": id, "name": "Robert" } }))
            .await;
        assert_eq!(renamed.text("/updateContact/name"), "Robert");
        assert_eq!(contact_names(&ann, json!({})).await, ["Robert"]);
        let removed = ann.send(query!("remove_contact"), json!({ "id": id })).await;
        assert_eq!(
            removed.data("/removeContact"),
            &json!({ "id": id, "owner": { "contacts": { "totalCount": 0 } } })
        );
        ann.send(query!("remove_contact"), json!({ "id": id })).await.assert_error("NOT_FOUND", "");
    })
    .await;
}

#[tokio::test]
async fn pages_are_sorted_and_stable_under_changes() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (mut all, mut ids) = (Vec::new(), Vec::new());
        for (number, name) in
            ["bob", "Ann", "cid", "anna", "\u{c9}ve", "Zed", "bob"].into_iter().enumerate()
        {
            let added = ann.add_contact(name, &format!("+3168765432{number}")).await;
            ids.push((name, added.text("/addContact/id").to_owned()));
            all.push(name);
        }
        assert_eq!(
            contact_names(&ann, json!({})).await,
            ["Ann", "anna", "bob", "bob", "cid", "\u{c9}ve", "Zed"]
        );

        let first = ann.send(query!("contacts"), json!({ "first": 3 })).await;
        let page_info = first.data("/me/contacts/pageInfo");
        assert_eq!(
            (&page_info["hasNextPage"], &page_info["hasPreviousPage"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(first.data("/me/contacts/totalCount"), 7);
        assert_eq!(page_info["endCursor"], *first.data("/me/contacts/edges/2/cursor"));
        // Removing a contact before the cursor does not change the next page.
        ann.send(query!("remove_contact"), json!({ "id": first.data("/me/contacts/nodes/0/id") }))
            .await
            .data("");
        let after = json!({ "first": 100, "after": page_info["endCursor"] });
        assert_eq!(contact_names(&ann, after.clone()).await, ["bob", "cid", "\u{c9}ve", "Zed"]);
        let last = ann.send(query!("contacts"), after).await;
        assert_eq!(last.data("/me/contacts/pageInfo/hasNextPage"), false);
        assert_eq!(last.data("/me/contacts/pageInfo/hasPreviousPage"), true);
    })
    .await;
}

/// Names in the order of the list: sorted without accents, and by the exact name where that is equal.
const SORTED_NAMES: [&str; 18] = [
    "100%",
    "\u{c4}rne",
    "arno",
    "Bob",
    "Zed",
    "ZOE",
    "Zoe",
    "Zo\u{eb}",
    "zoe",
    "\u{141}ukasz",
    "\u{3a9}\u{3bc}\u{3ad}\u{3b3}\u{3b1}",
    "\u{419}\u{43e}\u{440}\u{434}\u{430}\u{43d}",
    "\u{43a}\u{438}\u{440}",
    "\u{5d3}\u{5b8}\u{5bc}\u{5df}",
    "\u{645}\u{64f}\u{62d}\u{645}\u{62f}",
    "\u{915}\u{93e}",
    "\u{304b}",
    "\u{304c}",
];

#[tokio::test]
async fn names_are_sorted_the_same_on_every_database() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for number in 0..SORTED_NAMES.len() {
            // Insert in another order.
            let name = SORTED_NAMES[number * 7 % SORTED_NAMES.len()];
            ann.add_contact(name, &format!("+316876543{number:02}")).await.data("/addContact");
        }
        assert_eq!(contact_names(&ann, json!({})).await, SORTED_NAMES);
        if app.app.platform.database.product_name() == "PostgreSQL" {
            let bytewise =
                "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'contacts'
                AND column_name IN ('sort_key', 'name') AND collation_name = 'C'";
            assert_eq!(
                app.count(bytewise).await,
                2,
                "the order does not depend on the server's locale"
            );
        }
        // Cursors follow the same order.
        let (mut paged_names, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = ann.send(query!("contacts"), json!({ "first": 1, "after": after })).await;
            paged_names.push(page.text("/me/contacts/nodes/0/name").to_owned());
            after = page.data("/me/contacts/pageInfo/endCursor").clone();
            if page.data("/me/contacts/pageInfo/hasNextPage") == false {
                break;
            }
        }
        assert_eq!(paged_names, SORTED_NAMES);
    })
    .await;
}

#[tokio::test]
async fn search_ignores_accents_that_do_not_change_the_letter() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for (number, name) in [
            "Zo\u{eb}",
            "Jos\u{e9} Nu\u{f1}ez",
            "\u{645}\u{64f}\u{62d}\u{645}\u{62f}",
            "\u{304c}\u{3076}",
            "\u{200e}Bob",
        ]
        .into_iter()
        .enumerate()
        {
            ann.add_contact(name, &format!("+3168765430{number}")).await.data("/addContact");
        }
        for (search, expected) in [
            ("zoe", &["Zo\u{eb}"][..]),
            ("ZO\u{cb}", &["Zo\u{eb}"]),
            ("\u{ff3a}oe", &["Zo\u{eb}"]),
            ("\u{2068}zoe\u{2069}", &["Zo\u{eb}"]),
            ("jose nunez", &["Jos\u{e9} Nu\u{f1}ez"]),
            ("\u{645}\u{62d}\u{645}\u{62f}", &["\u{645}\u{64f}\u{62d}\u{645}\u{62f}"]),
            ("\u{304b}\u{3075}", &[]),
            ("\u{304c}", &["\u{304c}\u{3076}"]),
            ("bob", &["\u{200e}Bob"]),
        ] {
            assert_eq!(
                contact_names(&ann, json!({ "search": search })).await,
                expected,
                "{search}"
            );
        }
        let longest_key_name = "\u{fdfa}".repeat(100);
        ann.add_contact(&longest_key_name, "+31687654399").await.data("/addContact");
    })
    .await;
}

#[tokio::test]
async fn renamed_contacts_are_sorted_and_found_by_the_new_name() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.add_contact("Bob", "+31687654321").await.data("/addContact");
        let zoe = ann.add_contact("Zo\u{eb}", "+31687654322").await;
        let input = json!({ "id": zoe.data("/addContact/id"), "name": "\u{c4}nne" });
        ann.send(query!("update_contact"), json!({ "input": input })).await.data("/updateContact");
        assert_eq!(contact_names(&ann, json!({})).await, ["\u{c4}nne", "Bob"]);
        assert_eq!(contact_names(&ann, json!({ "search": "anne" })).await, ["\u{c4}nne"]);
    })
    .await;
}

/// A forged cursor.
fn forged_cursor(key: &Value) -> String {
    data_encoding::BASE64URL_NOPAD.encode(key.to_string().as_bytes())
}

#[tokio::test]
async fn invalid_page_arguments_null_only_their_field() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for (variables, errors) in [
            (json!({ "first": 0 }), &["BAD_USER_INPUT first"][..]),
            (json!({ "first": 101 }), &["BAD_USER_INPUT first"]),
            (
                json!({ "first": -1, "after": "x" }),
                &["BAD_USER_INPUT first", "BAD_USER_INPUT after"],
            ),
            (json!({ "after": "" }), &["BAD_USER_INPUT after"]),
            (json!({ "after": forged_cursor(&json!(["a\u{0}", "a", "00000000-0000-0000-0000-000000000000"])) }), &["BAD_USER_INPUT after"]),
            (json!({ "after": forged_cursor(&json!(["a"])) }), &["BAD_USER_INPUT after"]),
            (json!({ "search": "" }), &["BAD_USER_INPUT search"]),
            (json!({ "search": "x".repeat(101) }), &["BAD_USER_INPUT search"]),
        ] {
            let response = ann.send(query!("contacts"), variables.clone()).await;
            assert_eq!(response.errors(), errors, "{variables}");
            assert_eq!(
                response.body["data"],
                json!({ "me": { "contacts": null } }),
                "the parent field is returned"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn search_matches_parts_of_names_and_numbers_literally() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        for (name, phone) in [
            ("Stra\u{df}er", "+31687654321"),
            ("100%", "+31687654322"),
            ("a_b\\c", "+447400123456"),
        ] {
            ann.add_contact(name, phone).await.data("/addContact");
        }
        for (search, expected) in [
            ("STRASS", &["Stra\u{df}er"][..]),
            ("%", &["100%"]),
            ("_", &["a_b\\c"]),
            ("\\", &["a_b\\c"]),
            ("06 8765432", &["100%", "Stra\u{df}er"]),
            ("+31 (0)6 8765", &["100%", "Stra\u{df}er"]),
            ("Room 876", &[]),
            ("+44 7400", &["a_b\\c"]),
            ("nobody", &[]),
            ("'; DROP TABLE contacts; --", &[]),
        ] {
            assert_eq!(
                contact_names(&ann, json!({ "search": search })).await,
                expected,
                "{search}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn profiles_are_shown_for_verified_numbers_of_discoverable_users_only() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let bob =
            app.anonymous().sign_up(json!({ "nickname": "bob", "phone": "+31687654321" })).await;
        ann.add_contact("Robert", "+31687654321").await.data("/addContact");
        let profile_of_contact = async || {
            ann.send(query!("contacts"), json!({}))
                .await
                .data("/me/contacts/nodes/0/profile")
                .clone()
        };
        assert_eq!(profile_of_contact().await, json!(null), "unverified numbers show no profile");
        app.sql("UPDATE users SET phone_verified_at = created_at WHERE nickname = 'bob'")
            .await
            .expect("verified");
        assert_eq!(profile_of_contact().await, json!({ "displayName": "bob" }));

        let profile = json!({ "id": bob.data("/signup/user/id") });
        assert_eq!(
            ann.send(query!("profile"), profile.clone()).await.text("/profile/displayName"),
            "bob"
        );
        app.sql("UPDATE users SET discoverable = false WHERE nickname = 'bob'")
            .await
            .expect("hidden");
        assert_eq!(profile_of_contact().await, json!(null));
        ann.send(query!("profile"), profile.clone()).await.assert_error("NOT_FOUND", "");
        let bob_signed_in = app.with_token(bob.text("/signup/accessToken"));
        assert_eq!(
            bob_signed_in.send(query!("profile"), profile).await.text("/profile/displayName"),
            "bob"
        );
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_found_by_its_id_by_its_owner_only() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let added = ann.add_contact("Carl", "+31612345678").await;
        let id = added.text("/addContact/id").to_owned();
        let query = "query ($id: ID!) { contact(id: $id) { id name lookup { id } } }";
        let found = ann.send(query, json!({ "id": id })).await;
        let lookup = json!({ "id": format!("{id}:lookup") });
        assert_eq!(found.data("/contact"), &json!({ "id": id, "name": "Carl", "lookup": lookup }));
        for (caller, id, code) in [
            (&bob, &*id, "NOT_FOUND"),
            (&ann, "cnt_unknown", "NOT_FOUND"),
            (&app.anonymous(), &id, "UNAUTHENTICATED"),
        ] {
            assert_eq!(caller.send(query, json!({ "id": id })).await.errors(), [code]);
        }
    })
    .await;
}
