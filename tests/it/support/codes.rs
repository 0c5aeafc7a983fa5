//! Codes in tests: people with phones, what was sent to them, and their answers.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Caller, TestApp, query};

impl TestApp {
    /// The code of the newest SMS to a number, when everything due was sent.
    pub async fn code_to(&self, phone: &str) -> String {
        self.run().await;
        let printed = self.printed(phone).await;
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        let codes = printed.iter().filter_map(|text| {
            text.split(|c: char| !c.is_ascii_digit()).find(is_code).map(str::to_owned)
        });
        codes.into_iter().next().unwrap_or_else(|| panic!("no code for {phone}: {printed:?}"))
    }

    /// The SMS to a number that have no code, the newest first, when everything due was sent.
    pub async fn notices_to(&self, phone: &str) -> Vec<String> {
        self.run().await;
        let printed = self.printed(phone).await.into_iter();
        printed.filter(|text| !text.contains(" is your code")).collect()
    }

    /// How many SMS went to a number.
    pub async fn sms_to(&self, phone: &str) -> usize {
        self.run().await;
        self.printed(phone).await.len()
    }

    /// Signs up by nickname and phone, which is not verified.
    pub async fn with_phone(&self, nickname: &str, phone: &str) -> (Caller, Answer) {
        let answer =
            self.anonymous().sign_up(json!({ "nickname": nickname, "phone": phone })).await;
        (self.bearing(answer.text("/signup/accessToken")), answer)
    }

    /// Signs up by nickname and phone, and answers the code.
    pub async fn verified(&self, nickname: &str, phone: &str) -> Caller {
        let (caller, answer) = self.with_phone(nickname, phone).await;
        let code = self.code_to(phone).await;
        let verification = given(answer.text("/signup/challenge/id"), &code);
        let verified = caller.verify_phone(&verification).await;
        assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        caller
    }

    /// The same with two-factor login on, some time ago.
    pub async fn two_factored(&self, nickname: &str, phone: &str) -> Caller {
        let caller = self.verified(nickname, phone).await;
        let verification = caller.proven("TWO_FACTOR", phone).await;
        let on = caller.set_two_factor(true, &verification).await;
        assert_eq!(on.data("/setTwoFactor/twoFactorEnabled"), true);
        self.advance(Duration::from_hours(2)).await;
        self.logged_in_by_code(nickname, phone).await
    }

    /// Logs in by nickname and code.
    pub async fn logged_in_by_code(&self, nickname: &str, phone: &str) -> Caller {
        let challenge = self.anonymous().log_in(nickname, super::PASSWORD).await;
        let input = given(challenge.text("/login/id"), &self.code_to(phone).await);
        let tokens = self.anonymous().verify_code(&input).await;
        self.bearing(tokens.text("/verifyCode/accessToken"))
    }
}

impl Caller {
    pub async fn request_code(&self, purpose: &str) -> Answer {
        self.send(query!("request_code"), json!({ "purpose": purpose })).await
    }

    pub async fn resend_code(&self, id: &str) -> Answer {
        self.send(query!("resend_code"), json!({ "id": id })).await
    }

    pub async fn challenge(&self, id: &str) -> Answer {
        self.send(query!("challenge"), json!({ "id": id })).await
    }

    pub async fn verify_code(&self, input: &Value) -> Answer {
        self.send(query!("verify_code"), json!({ "input": input })).await
    }

    pub async fn verify_phone(&self, verification: &Value) -> Answer {
        self.send(query!("verify_phone"), json!({ "verification": verification })).await
    }

    pub async fn add_phone(&self, phone: &str, password: &str) -> Answer {
        let variables = json!({ "phone": phone, "currentPassword": password });
        self.send(query!("add_phone"), variables).await
    }

    pub async fn set_two_factor(&self, enabled: bool, verification: &Value) -> Answer {
        let variables = json!({ "enabled": enabled, "verification": verification });
        self.send(query!("set_two_factor"), variables).await
    }

    pub async fn update_profile(&self, input: Value) -> Answer {
        self.send(query!("update_profile"), json!({ "input": input })).await
    }

    pub async fn change_password(&self, current: &str, new: &str, verification: &Value) -> Answer {
        let input = json!({
            "currentPassword": current, "newPassword": new, "verification": verification,
        });
        self.send(query!("change_password"), json!({ "input": input })).await
    }

    pub async fn forgot_password(&self, identifier: &str) -> Answer {
        self.send(query!("forgot_password"), json!({ "identifier": identifier })).await
    }

    pub async fn reset_password(&self, verification: &Value, new: &str) -> Answer {
        let input = json!({ "verification": verification, "newPassword": new });
        self.send(query!("reset_password"), json!({ "input": input })).await
    }

    /// Asks for a code and reads it from the SMS.
    pub async fn proven(&self, purpose: &str, phone: &str) -> Value {
        let challenge = self.request_code(purpose).await;
        given(challenge.text("/requestCode/id"), &self.app.code_to(phone).await)
    }
}

/// A challenge's id and a code, as the schema takes them.
pub fn given(id: &str, code: &str) -> Value {
    json!({ "challengeId": id, "code": code })
}

/// A code that is not this one.
pub fn another(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000)
}
