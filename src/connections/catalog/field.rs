//! Fields of a credential set.

use regex::Regex;

/// The name of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKey {
    /// The address of the customer's own instance.
    InstanceUrl,
    /// The first label of the customer's own host.
    Subdomain,
    /// A user name, or what the provider uses in its place.
    Username,
    /// A password, or what the provider uses in its place.
    Password,
    /// An API key.
    ApiKey,
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// When the access token expires.
    ExpiresAt,
    /// The identifier of the OAuth client.
    ClientId,
    /// The secret of the OAuth client.
    ClientSecret,
}

use CredentialKey::{
    AccessToken, ApiKey, ClientId, ClientSecret, ExpiresAt, InstanceUrl, Password, RefreshToken,
    Subdomain, Username,
};

impl CredentialKey {
    /// All names, in the order of forms.
    pub const ALL: [Self; 10] = [
        InstanceUrl,
        Subdomain,
        Username,
        Password,
        ApiKey,
        AccessToken,
        RefreshToken,
        ExpiresAt,
        ClientId,
        ClientSecret,
    ];

    /// The name in JSON, in `field` of errors and in placeholders.
    pub fn name(self) -> &'static str {
        match self {
            InstanceUrl => "instanceUrl",
            Subdomain => "subdomain",
            Username => "username",
            Password => "password",
            ApiKey => "apiKey",
            AccessToken => "accessToken",
            RefreshToken => "refreshToken",
            ExpiresAt => "expiresAt",
            ClientId => "clientId",
            ClientSecret => "clientSecret",
        }
    }

    /// The path of the field in an input.
    pub fn input_path(self) -> &'static str {
        match self {
            InstanceUrl => "credentials.instanceUrl",
            Subdomain => "credentials.subdomain",
            Username => "credentials.username",
            Password => "credentials.password",
            ApiKey => "credentials.apiKey",
            AccessToken => "credentials.accessToken",
            RefreshToken => "credentials.refreshToken",
            ExpiresAt => "credentials.expiresAt",
            ClientId => "credentials.clientId",
            ClientSecret => "credentials.clientSecret",
        }
    }

    /// The key of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The label in forms, unless the entry has another.
    pub fn default_label(self) -> &'static str {
        match self {
            InstanceUrl => "Instance URL",
            Subdomain => "Subdomain",
            Username => "User name",
            Password => "Password",
            ApiKey => "API key",
            AccessToken => "Access token",
            RefreshToken => "Refresh token",
            ExpiresAt => "Expires at",
            ClientId => "Client ID",
            ClientSecret => "Client secret",
        }
    }

    /// Whether forms hide the value, unless the entry says otherwise.
    pub fn is_secret_by_default(self) -> bool {
        matches!(self, Password | ApiKey | AccessToken | RefreshToken | ClientSecret)
    }
}

/// A field of a scheme's form.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name.
    pub key: CredentialKey,
    /// The label in forms.
    pub label: String,
    /// Whether a credential set must have it.
    pub is_required: bool,
    /// Whether forms hide the value.
    pub is_secret: bool,
    /// What the whole value must match.
    pub pattern: Option<Pattern>,
    /// An example, which is no real credential.
    pub example: Option<String>,
    /// Where to find the value.
    pub help: Option<String>,
}

impl Field {
    /// A field as schemes have it when their entry says nothing about it.
    pub fn default_for(key: CredentialKey, is_required: bool) -> Self {
        Self {
            key,
            label: key.default_label().to_owned(),
            is_required,
            is_secret: key.is_secret_by_default(),
            pattern: None,
            example: None,
            help: None,
        }
    }
}

/// A regular expression that must match a whole value.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The error of regex draws the expression over several lines; the last one says what is wrong.
        let one_line = |error: regex::Error| {
            error.to_string().lines().last().unwrap_or_default().replace("error: ", "")
        };
        // On its own first: `)(` would be valid inside of the group.
        Regex::new(text).map_err(one_line)?;
        let whole = Regex::new(&format!("^(?:{text})$")).map_err(one_line)?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// The expression as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole value matches.
    pub fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }
}
