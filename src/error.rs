//! Errors: the codes that clients get, and the error type that use cases return. An internal cause goes to the
//! log and never to a client.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who can correct an error, in JSend's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStatus {
    /// The client, by another request.
    Fail,
    /// The server.
    Error,
}

impl ErrorStatus {
    /// The name in responses.
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

            /// Who can correct it.
            pub fn status(self) -> ErrorStatus {
                match self { $(Self::$name => ErrorStatus::$status,)* }
            }

            /// Whether the same request may succeed later.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            /// The name by which a code is stored.
            pub fn stored_name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The name by which clients know a code, such as "BAD_USER_INPUT".
            pub fn public_name(self) -> String {
                let mut name = String::new();
                for letter in self.stored_name().chars() {
                    if letter.is_ascii_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(letter.to_ascii_uppercase());
                }
                name
            }

            /// The code with this stored name.
            pub fn from_stored_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.stored_name() == name)
            }

            /// One or two sentences for developers.
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
    PathNotAllowed Fail false "The path leads outside of the provider's base URL, or some server could read it so."
    InvalidMapping Fail false "An expression of the mapping is not valid JMESPath or beyond its limits, or the answer cannot be mapped within them; `field` says which."
    ResponseTooLarge Fail false "The provider's answer is too long, or nested too deep. Ask for less."
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

/// An error as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserError {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The message, for people. Contains nothing internal.
    pub message: String,
    /// The camelCase path inside `input` ("verification.code"), or the argument's name.
    pub field: Option<Cow<'static, str>>,
    /// A subdivision of the code, in upper case.
    pub reason: Option<&'static str>,
    /// How long to wait before the same request can succeed.
    pub retry_after: Option<Duration>,
}

impl UserError {
    /// An error without a field.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, reason: None, retry_after: None }
    }

    /// An invalid value. [`ForField::for_field`] adds its field.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadUserInput, message)
    }

    /// Adds the reason.
    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds the field.
    #[must_use]
    pub fn for_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }
}

/// The error of a use case: one or more user errors, and, when the server is at fault, an internal cause for the
/// log. It has no `Display`, because async-graphql sends every error that has one to the client.
#[derive(Clone, Debug)]
pub struct Error {
    user_errors: Vec<UserError>,
    cause: Option<Arc<Cause>>,
}

/// An internal cause. Clones of an error share it, so that it is logged once.
#[derive(Debug)]
struct Cause {
    error: Box<dyn std::error::Error + Send + Sync>,
    is_logged: AtomicBool,
}

impl Error {
    /// A single user error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        UserError::new(code, message).into()
    }

    /// An internal error. The client gets INTERNAL_SERVER_ERROR and nothing of the cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::with_cause(ErrorCode::InternalServerError, "Something went wrong here.", cause)
    }

    /// An error of the server with a code and message of its own. The client gets nothing of the cause.
    pub fn with_cause(
        code: ErrorCode,
        message: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let cause = Cause { error: cause.into(), is_logged: AtomicBool::new(false) };
        Self { user_errors: vec![UserError::new(code, message)], cause: Some(Arc::new(cause)) }
    }

    /// The request has no valid access token.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthenticated, message)
    }

    /// The object does not exist or belongs to another user: the error is the same.
    pub fn not_found(object: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("There is no such {object}."))
    }

    /// Too many attempts.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let error = UserError::new(ErrorCode::RateLimited, "Too many attempts. Try again later.");
        UserError { retry_after: Some(retry_after), ..error }.into()
    }

    /// Fails with all of these errors, if there are any.
    pub fn ensure_none(user_errors: Vec<UserError>) -> Result<()> {
        if user_errors.is_empty() { Ok(()) } else { Err(Self { user_errors, cause: None }) }
    }

    /// The errors for the client, in the order of the fields. Never empty.
    pub fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }

    /// The code of the first user error.
    pub fn code(&self) -> ErrorCode {
        self.user_errors[0].code
    }

    /// Logs the internal cause, if there is one and it was not logged yet.
    pub fn log(&self) {
        if let Some(cause) = &self.cause
            && !cause.is_logged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(code = ?self.code(), "{}", self.describe());
        }
    }

    /// The messages and the internal cause in one line, for the log.
    pub fn describe(&self) -> String {
        let messages = self.user_errors.iter().map(|error| match &error.field {
            Some(field) => format!("{field}: {}", error.message),
            None => error.message.clone(),
        });
        let messages = messages.collect::<Vec<_>>().join(" ");
        match self.cause() {
            Some(cause) => format!("{messages} ({cause})"),
            None => messages,
        }
    }

    /// Whether the internal cause is of this type.
    pub fn cause_is<E: std::error::Error + 'static>(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.error.is::<E>())
    }

    /// The internal cause with its sources, in one line. Not for clients.
    pub fn cause(&self) -> Option<String> {
        let mut error: Option<&dyn std::error::Error> = Some(&*self.cause.as_ref()?.error);
        let mut line = String::new();
        while let Some(cause) = error {
            // Some errors already contain the text of their source.
            let text = cause.to_string();
            if !line.contains(&text) {
                let _ = write!(line, "{}{text}", if line.is_empty() { "" } else { ": " });
            }
            error = cause.source();
        }
        Some(line)
    }
}

impl From<UserError> for Error {
    fn from(error: UserError) -> Self {
        Self { user_errors: vec![error], cause: None }
    }
}

/// Adds the field to the error of a parsed value.
pub trait ForField<T> {
    /// The value, or its error with the field's path.
    fn for_field(self, field: &'static str) -> Result<T, UserError>;
}

impl<T> ForField<T> for Result<T, UserError> {
    fn for_field(self, field: &'static str) -> Self {
        self.map_err(|error| error.for_field(field))
    }
}

/// Checks a value that may be absent.
pub fn check_optional<V: ?Sized, T>(
    value: Option<&V>,
    check: impl FnOnce(&V) -> Result<T, UserError>,
) -> Result<Option<T>, UserError> {
    value.map(check).transpose()
}

/// Turns a tuple of results into all values or all errors.
pub trait CollectErrors {
    /// The tuple of values.
    type Values;
    /// All values, or the errors of every invalid one, not only of the first.
    fn collect_errors(self) -> Result<Self::Values>;
}

macro_rules! impl_collect_errors {
    ($(($($value:ident $T:ident),+))*) => {$(
        impl<$($T),+> CollectErrors for ($(Result<$T, UserError>,)+) {
            type Values = ($($T,)+);

            fn collect_errors(self) -> Result<Self::Values> {
                match self {
                    ($(Ok($value),)+) => Ok(($($value,)+)),
                    ($($value,)+) => {
                        let user_errors = [$($value.err()),+].into_iter().flatten().collect();
                        Err(Error { user_errors, cause: None })
                    }
                }
            }
        }
    )*};
}

impl_collect_errors! {
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
    fn public_names_are_those_of_the_schema() {
        for code in ErrorCode::ALL {
            let value = async_graphql::resolver_utils::enum_value(*code);
            assert_eq!(value.to_string(), code.public_name());
        }
    }

    #[test]
    fn every_invalid_field_is_reported_in_order() {
        let valid: Result<u8, UserError> = Ok(1);
        let invalid = |field| Err::<u8, _>(UserError::bad_input("no").for_field(field));
        let error = (invalid("a"), valid, invalid("c")).collect_errors().expect_err("two errors");
        assert_eq!(
            error.user_errors().iter().map(|error| error.field.as_deref()).collect::<Vec<_>>(),
            [Some("a"), Some("c")]
        );
    }

    #[test]
    fn internal_causes_are_described_but_not_sent_to_clients() {
        let error = Error::internal("SELECT secret");
        assert_eq!(error.code(), ErrorCode::InternalServerError);
        assert!(error.describe().contains("SELECT secret"));
        assert!(!error.user_errors()[0].message.contains("SELECT"));
    }
}
