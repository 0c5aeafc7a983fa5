//! Codes in tests: accounts with phones, the SMS they get, and the mutations that take a code.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Caller, GraphQLResponse, TestApp, query};

impl TestApp {
    /// Runs the due jobs and returns the code of the newest SMS to a number.
    pub async fn latest_code(&self, phone: &str) -> String {
        self.run_due_jobs().await;
        let texts = self.sent_sms(phone).await;
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        let codes = texts.iter().filter_map(|text| {
            text.split(|c: char| !c.is_ascii_digit()).find(is_code).map(str::to_owned)
        });
        codes.into_iter().next().unwrap_or_else(|| panic!("no code for {phone}: {texts:?}"))
    }

    /// Runs the due jobs and returns the SMS to a number without a code, newest first.
    pub async fn notices_sent_to(&self, phone: &str) -> Vec<String> {
        self.run_due_jobs().await;
        let texts = self.sent_sms(phone).await.into_iter();
        texts.filter(|text| !text.contains(" is your code")).collect()
    }

    /// Runs the due jobs and counts the SMS to a number.
    pub async fn sms_count(&self, phone: &str) -> usize {
        self.run_due_jobs().await;
        self.sent_sms(phone).await.len()
    }

    /// Signs up by nickname and an unverified phone.
    pub async fn signed_up_with_phone(
        &self,
        nickname: &str,
        phone: &str,
    ) -> (Caller, GraphQLResponse) {
        let response =
            self.anonymous().sign_up(json!({ "nickname": nickname, "phone": phone })).await;
        (self.with_token(response.text("/signup/accessToken")), response)
    }

    /// Signs up by nickname and phone, and verifies the phone.
    pub async fn with_verified_phone(&self, nickname: &str, phone: &str) -> Caller {
        let (caller, response) = self.signed_up_with_phone(nickname, phone).await;
        let code = self.latest_code(phone).await;
        let verification = verification(response.text("/signup/challenge/id"), &code);
        let verified = caller.verify_phone(&verification).await;
        assert_eq!(verified.data("/verifyPhone/phoneVerified"), true);
        caller
    }

    /// An account with a verified phone that enabled two-factor login two hours ago; logged in by code.
    pub async fn with_two_factor(&self, nickname: &str, phone: &str) -> Caller {
        let caller = self.with_verified_phone(nickname, phone).await;
        let verification = caller.obtain_verification("TWO_FACTOR", phone).await;
        let user = caller.set_two_factor(true, &verification).await;
        assert_eq!(user.data("/setTwoFactor/twoFactorEnabled"), true);
        self.advance(Duration::from_hours(2)).await;
        self.logged_in_by_code(nickname, phone).await
    }

    /// Logs in by nickname and code.
    pub async fn logged_in_by_code(&self, nickname: &str, phone: &str) -> Caller {
        let challenge = self.anonymous().log_in(nickname, super::PASSWORD).await;
        let input = verification(challenge.text("/login/id"), &self.latest_code(phone).await);
        let tokens = self.anonymous().verify_code(&input).await;
        self.with_token(tokens.text("/verifyCode/accessToken"))
    }
}

impl Caller {
    pub async fn request_code(&self, purpose: &str) -> GraphQLResponse {
        self.send(query!("request_code"), json!({ "purpose": purpose })).await
    }

    pub async fn resend_code(&self, id: &str) -> GraphQLResponse {
        self.send(query!("resend_code"), json!({ "id": id })).await
    }

    pub async fn challenge(&self, id: &str) -> GraphQLResponse {
        self.send(query!("challenge"), json!({ "id": id })).await
    }

    pub async fn verify_code(&self, input: &Value) -> GraphQLResponse {
        self.send(query!("verify_code"), json!({ "input": input })).await
    }

    pub async fn verify_phone(&self, verification: &Value) -> GraphQLResponse {
        self.send(query!("verify_phone"), json!({ "verification": verification })).await
    }

    pub async fn add_phone(&self, phone: &str, password: &str) -> GraphQLResponse {
        let variables = json!({ "phone": phone, "currentPassword": password });
        self.send(query!("add_phone"), variables).await
    }

    pub async fn set_two_factor(&self, enabled: bool, verification: &Value) -> GraphQLResponse {
        let variables = json!({ "enabled": enabled, "verification": verification });
        self.send(query!("set_two_factor"), variables).await
    }

    pub async fn update_profile(&self, input: Value) -> GraphQLResponse {
        self.send(query!("update_profile"), json!({ "input": input })).await
    }

    pub async fn change_password(
        &self,
        current: &str,
        new: &str,
        verification: &Value,
    ) -> GraphQLResponse {
        let input = json!({
            "currentPassword": current, "newPassword": new, "verification": verification,
        });
        self.send(query!("change_password"), json!({ "input": input })).await
    }

    pub async fn forgot_password(&self, identifier: &str) -> GraphQLResponse {
        self.send(query!("forgot_password"), json!({ "identifier": identifier })).await
    }

    pub async fn reset_password(&self, verification: &Value, new: &str) -> GraphQLResponse {
        let input = json!({ "verification": verification, "newPassword": new });
        self.send(query!("reset_password"), json!({ "input": input })).await
    }

    /// Requests a code and reads it from the SMS.
    pub async fn obtain_verification(&self, purpose: &str, phone: &str) -> Value {
        let challenge = self.request_code(purpose).await;
        verification(challenge.text("/requestCode/id"), &self.app.latest_code(phone).await)
    }
}

/// A `VerificationInput`.
pub fn verification(id: &str, code: &str) -> Value {
    json!({ "challengeId": id, "code": code })
}

/// A code that differs from this one.
pub fn wrong_code(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000)
}
