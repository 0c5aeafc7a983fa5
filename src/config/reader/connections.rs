//! Reads the settings of API connections.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::values::SettingsReader;
use crate::config::connections::{ConnectionsConfig, OAuthClient};
use crate::config::setting_names::parse_oauth_client_name;

impl SettingsReader {
    pub(super) fn connections(&mut self) -> ConnectionsConfig {
        ConnectionsConfig {
            providers_file: self.text("PROVIDERS_FILE").map(|path| PathBuf::from(path.trim())),
            oauth_clients: self.oauth_clients(),
            outbound_allow: self.list("OUTBOUND_ALLOW"),
        }
    }

    fn oauth_clients(&mut self) -> BTreeMap<String, OAuthClient> {
        let (mut ids, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in self.others() {
            let Some((provider, is_secret)) = parse_oauth_client_name(name) else { continue };
            let values = if is_secret { &mut secrets } else { &mut ids };
            values.insert(provider.to_owned(), value.trim().to_owned());
        }
        for (provider, secret) in &secrets {
            if !ids.contains_key(provider) {
                self.problems.push(format!(
                    "PROVIDER_{provider}_CLIENT_SECRET: needs PROVIDER_{provider}_CLIENT_ID"
                ));
            }
            // The client stands in headers, without encoding where the secret is a user name.
            if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.problems.push(format!(
                    "PROVIDER_{provider}_CLIENT_SECRET: must have no spaces, and only characters of ASCII"
                ));
            }
        }
        let client = |(provider, id): (String, String)| {
            let secret = secrets.get(&provider).map(|secret| secret.clone().into());
            (provider, OAuthClient { id, secret })
        };
        ids.into_iter().map(client).collect()
    }
}
