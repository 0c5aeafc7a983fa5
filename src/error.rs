//! The whole public vocabulary of failure: every code a client can meet, and the one error type that
//! deeds return. What went wrong inside is kept for the log and never told.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a deed answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose turn it is, in JSend's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The caller can mend it.
    Fail,
    /// It is ours to mend.
    Error,
}

impl Status {
    /// As it is written in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

macro_rules! error_codes {
    ($($name:ident $status:ident $retryable:literal $description:tt)*) => {
        /// What went wrong, for programs. New codes may be added; treat one you do not know by its `status`.
        #[derive(async_graphql::Enum, Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $description] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Whether the caller can mend it.
            pub fn status(self) -> Status {
                match self { $(Self::$name => Status::$status,)* }
            }

            /// Whether the same request may succeed later.
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            /// One or two sentences for the developer who meets it.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }
    };
}

error_codes! {
    BadUserInput Fail false "A value is missing, malformed, too long or out of range; `field` names it."
    Unauthenticated Fail false "Nobody is signed in, or the token is wrong or over: refresh it or log in. With `reason` SESSION_ENDED: log in."
    Forbidden Fail false "Signed in, but this is for administrators."
    NotFound Fail false "It does not exist, or it is not yours to see."
    Conflict Fail false "It contradicts what is there already; `field` says where."
    RateLimited Fail true "Too many attempts. Try again after `retryAfter` seconds."
    InvalidCredentials Fail false "No account has this identifier and password. It is not said which of the two is wrong. At `currentPassword`: it is not yours."
    IdentifierTaken Fail false "Another account has this nickname, e-mail address or phone number; `field` says which."
    WeakPassword Fail false "The password is among those that are guessed first. Choose another."
    CodeInvalid Fail false "The code is wrong, was used already, or belongs to something else. What has not six digits is BAD_USER_INPUT, and does not count as a try."
    CodeExpired Fail false "The code's time is over. Ask for a new one."
    VerificationRequired Fail false "This needs a code from an SMS, or the current password; `field` says which."
    PhoneRequired Fail false "This needs an account with a verified phone number."
    AccountDeleted Fail false "The account has been deleted."
    InvalidPhoneNumber Fail false "Not a phone number that can be used here; `reason` says why: TOO_SHORT, TOO_LONG, INVALID_LENGTH, INVALID_COUNTRY_CODE (none, or none that exists), NOT_A_NUMBER, NOT_IN_USE, NOT_CALLABLE or NO_SMS."
    LookupUnavailable Error true "The service that checks phone numbers did not answer. Nothing was saved; try again."
    RoundAlreadyPlayed Fail false "The round has been played, with another move or seed."
    RoundExpired Fail false "The round was not played within its time."
    UploadTooLarge Fail false "The file has too many bytes, pixels or frames."
    UnsupportedMedia Fail false "The file is not of a kind that is accepted here."
    UnknownProvider Fail false "There is no provider of that key; `providers` lists them."
    InvalidCredentialSet Fail false "The credentials do not fit the provider's scheme; `field` names the one."
    ConnectionRefusedByProvider Fail false "The provider refused the credentials. Nothing was stored."
    NeedsReauth Fail false "The provider no longer accepts these credentials. Give new ones."
    UpstreamUnavailable Error true "The other service could not be reached or failed."
    UpstreamTimeout Error true "The other service did not answer in time."
    PathNotAllowed Fail false "The path leads outside of the provider's base URL."
    InvalidMapping Fail false "An expression of the mapping is not valid JMESPath."
    QueryTooComplex Fail false "The document asks for too much: fewer fields, smaller pages, less nesting."
    GraphqlParseFailed Fail false "The document is not GraphQL."
    GraphqlValidationFailed Fail false "The document does not fit the schema."
    OperationResolutionFailure Fail false "The document has several operations and `operationName` names none of them."
    BadRequest Fail false "The HTTP request is not a GraphQL request."
    PersistedQueryNotFound Fail true "The hash is not known here. Send the document along."
    PersistedQueryNotSupported Fail false "Persisted queries are switched off here."
    ServiceUnavailable Error true "A part that is needed is out of reach or busy. Try again."
    InternalServerError Error false "Something went wrong here. The log has it under `requestId`."
}

/// One thing that is wrong, as the caller is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people. Never holds anything internal.
    pub message: String,
    /// The camelCase path inside `input` ("verification.code"), else the argument's name.
    pub field: Option<Cow<'static, str>>,
    /// A finer distinction within the code, in capitals.
    pub reason: Option<&'static str>,
    /// How long to wait before the same request can succeed.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that concerns no field in particular.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, reason: None, retry_after: None }
    }

    /// A bad value. Name its field with [`At::at`].
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadUserInput, message)
    }

    /// Adds a finer distinction.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Names the field that it concerns.
    #[must_use]
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }
}

/// Why a deed was not done: one or more failures to tell the caller, and, where it is ours, the cause
/// for the log. It has no `Display`, because async-graphql shows the client whatever has one.
#[derive(Clone, Debug)]
pub struct Error {
    failures: Vec<Failure>,
    cause: Option<Arc<Cause>>,
}

/// What went wrong inside. A failure that many fields meet is one cause, and one line in the log.
#[derive(Debug)]
struct Cause {
    error: Box<dyn std::error::Error + Send + Sync>,
    is_logged: AtomicBool,
}

impl Error {
    /// One failure of the caller's.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Failure::new(code, message).into()
    }

    /// Ours: the client is told nothing of the cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::ours(ErrorCode::InternalServerError, "Something went wrong here.", cause)
    }

    /// Ours, with a code of its own and a message that is safe to tell.
    pub fn ours(
        code: ErrorCode,
        message: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let cause = Cause { error: cause.into(), is_logged: AtomicBool::new(false) };
        Self { failures: vec![Failure::new(code, message)], cause: Some(Arc::new(cause)) }
    }

    /// Nobody is signed in, or not in a way that counts.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthenticated, message)
    }

    /// It does not exist, or it is somebody else's: the same answer.
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("There is no such {what}."))
    }

    /// Too many attempts.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let failure = Failure::new(ErrorCode::RateLimited, "Too many attempts. Try again later.");
        Failure { retry_after: Some(retry_after), ..failure }.into()
    }

    /// All of these failures as one error; nothing wrong, if there are none.
    ///
    /// # Errors
    /// The failures.
    pub fn all(failures: Vec<Failure>) -> Result<()> {
        if failures.is_empty() { Ok(()) } else { Err(Self { failures, cause: None }) }
    }

    /// The failures, in the order of the fields. Never empty.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The code of the first failure.
    pub fn code(&self) -> ErrorCode {
        self.failures[0].code
    }

    /// Logs what went wrong inside, if it is ours and was not logged yet.
    pub fn log(&self) {
        if let Some(cause) = &self.cause
            && !cause.is_logged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(code = ?self.code(), "{}", self.describe());
        }
    }

    /// For the log: messages and the cause in one line.
    pub fn describe(&self) -> String {
        let told = self.failures.iter().map(|failure| match &failure.field {
            Some(field) => format!("{field}: {}", failure.message),
            None => failure.message.clone(),
        });
        let told = told.collect::<Vec<_>>().join(" ");
        match self.cause() {
            Some(cause) => format!("{told} ({cause})"),
            None => told,
        }
    }

    /// What went wrong inside, if it is ours: never for a client.
    pub fn cause(&self) -> Option<String> {
        let mut error: Option<&dyn std::error::Error> = Some(&*self.cause.as_ref()?.error);
        let mut line = String::new();
        while let Some(cause) = error {
            // Many a cause repeats its own source.
            let said = cause.to_string();
            if !line.contains(&said) {
                let _ = write!(line, "{}{said}", if line.is_empty() { "" } else { ": " });
            }
            error = cause.source();
        }
        Some(line)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self { failures: vec![failure], cause: None }
    }
}

/// Names the field that a checked value came from.
pub trait At<T> {
    /// The value, or its failure with the field's path.
    ///
    /// # Errors
    /// The same failure.
    fn at(self, field: &'static str) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Failure> {
    fn at(self, field: &'static str) -> Self {
        self.map_err(|failure| failure.at(field))
    }
}

/// Checks a value that may be absent.
///
/// # Errors
/// Those of the check.
pub fn optional<V: ?Sized, T>(
    value: Option<&V>,
    check: impl FnOnce(&V) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    value.map(check).transpose()
}

/// A tuple of checked values: all of them, or every failure among them.
pub trait Checked {
    /// The tuple of values.
    type Values;
    /// Reports every bad one, not only the first.
    ///
    /// # Errors
    /// The failures, in order.
    fn all(self) -> Result<Self::Values>;
}

macro_rules! checked_tuples {
    ($(($($value:ident $T:ident),+))*) => {$(
        impl<$($T),+> Checked for ($(Result<$T, Failure>,)+) {
            type Values = ($($T,)+);

            fn all(self) -> Result<Self::Values> {
                match self {
                    ($(Ok($value),)+) => Ok(($($value,)+)),
                    ($($value,)+) => {
                        let failures = [$($value.err()),+].into_iter().flatten().collect();
                        Err(Error { failures, cause: None })
                    }
                }
            }
        }
    )*};
}

checked_tuples! {
    (a A, b B)
    (a A, b B, c C)
    (a A, b B, c C, d D)
    (a A, b B, c C, d D, e E)
    (a A, b B, c C, d D, e E, f F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_reported_in_order() {
        let good: Result<u8, Failure> = Ok(1);
        let bad = |field| Err::<u8, _>(Failure::bad_input("no").at(field));
        let error = (bad("a"), good, bad("c")).all().expect_err("two are bad");
        assert_eq!(
            error.failures().iter().map(|f| f.field.as_deref()).collect::<Vec<_>>(),
            [Some("a"), Some("c")]
        );
    }

    #[test]
    fn a_cause_is_described_but_not_told() {
        let error = Error::internal("SELECT secret");
        assert_eq!(error.code(), ErrorCode::InternalServerError);
        assert!(error.describe().contains("SELECT secret"));
        assert!(!error.failures()[0].message.contains("SELECT"));
    }
}
