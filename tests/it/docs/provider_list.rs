//! The generated part of the page about providers.

use std::fmt::Write;

use switchboard::connections::ProviderCatalog;
use switchboard::connections::catalog::{Provider, Scheme};

/// A section for each provider.
pub fn provider_list(catalog: &ProviderCatalog) -> String {
    let mut list = String::new();
    for provider in catalog.iter() {
        write_provider(&mut list, provider).expect("a text can be written to");
    }
    list + "\n"
}

fn write_provider(list: &mut String, provider: &Provider) -> std::fmt::Result {
    let Provider { key, name, .. } = provider;
    write!(list, "\n### {name}\n\n`{key}`: paths are below `{}`.", provider.base_url.as_str())?;
    if let Some(docs) = &provider.docs_url {
        write!(list, " [Its documentation]({docs}).")?;
    }
    if provider.verify.is_some() {
        write!(list, " Credentials can be tried before they are stored.")?;
    }
    writeln!(list, "\n\n| scheme | credentials |\n|---|---|")?;
    for scheme in &provider.schemes {
        let (kind, label) = (scheme.kind.name(), &scheme.label);
        writeln!(list, "| `{kind}`: {label} | {} |", fields(scheme))?;
    }
    if let Some(token) = &provider.token {
        write!(list, "\nTokens are renewed at `{}`", token.url.as_str())?;
        let part = provider.setting_part();
        writeln!(
            list,
            ", by the client of `PROVIDER_{part}_CLIENT_ID` if the credentials have none."
        )?;
    }
    Ok(())
}

/// The required fields first, the others in brackets.
fn fields(scheme: &Scheme) -> String {
    let names = |is_required: bool| {
        let fields = scheme.fields.iter().filter(move |field| field.is_required == is_required);
        fields.map(|field| format!("`{}`", field.key.name())).collect::<Vec<_>>().join(", ")
    };
    let (required, optional) = (names(true), names(false));
    match optional.is_empty() {
        true => required,
        false => format!("{required} ({optional})"),
    }
}
