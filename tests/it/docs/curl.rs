//! Parser for the subset of curl, jq and shell syntax in the documented transcripts.

use std::collections::BTreeMap;
use std::mem;

use axum::http::request::Builder;
use axum::http::{Request, header};

use super::run_page::PageResult;
use crate::support::multipart_form::{BOUNDARY, MultipartForm};
use crate::support::pictures::picture;

/// The address of the server in the transcripts.
const ADDRESS: &str = "http://127.0.0.1:8000";
/// The content type of `curl -d`.
const FORM_URLENCODED: &str = "application/x-www-form-urlencoded";

/// A curl command.
pub struct Curl {
    pub request: Builder,
    pub body: Vec<u8>,
    /// Whether the status is printed after the body.
    pub with_status: bool,
    /// Whether jq formats the output.
    pub with_jq: bool,
}

impl Curl {
    /// Parses a command and substitutes shell variables.
    pub fn parse(command: &str, variables: &BTreeMap<String, String>) -> PageResult<Self> {
        let mut command = command.replace("\\\n", " ");
        for (name, value) in variables {
            command = command.replace(&format!("${name}"), value);
        }
        let request = Request::builder();
        let mut curl = Self { request, body: Vec::new(), with_status: false, with_jq: false };
        let mut form: Option<MultipartForm> = None;
        let mut words = words(&command).into_iter();
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or("the command ends too early");
            match word.as_str() {
                "curl" | "-s" => {}
                "-H" => {
                    let line = next()?;
                    let (name, value) = line.split_once(": ").ok_or("a header has a name")?;
                    curl.request = curl.request.header(name, value);
                }
                "--json" => {
                    curl.body = next()?.into_bytes();
                    curl.request = curl.request.method("POST");
                    for name in [header::CONTENT_TYPE, header::ACCEPT] {
                        curl.request = curl.request.header(name, "application/json");
                    }
                }
                "-d" => {
                    if curl.body.is_empty() {
                        curl.request = curl
                            .request
                            .method("POST")
                            .header(header::CONTENT_TYPE, FORM_URLENCODED);
                    } else {
                        curl.body.push(b'&');
                    }
                    curl.body.extend_from_slice(next()?.as_bytes());
                }
                "-F" => {
                    let part = next()?;
                    let (name, value) = part.split_once('=').ok_or("a part has a name")?;
                    let form = form.get_or_insert_default();
                    *form = match value.strip_prefix('@') {
                        Some(file) => mem::take(form).file(name, file, &content_of(file)),
                        None => mem::take(form).part(&format!("name=\"{name}\""), value.as_bytes()),
                    };
                }
                "-w" => curl.with_status = next()? == r"\n%{http_code}\n",
                "|" => curl.with_jq = next()? == "jq",
                url => {
                    let path = url.strip_prefix(ADDRESS).ok_or("unknown argument of curl")?;
                    curl.request = curl.request.uri(path);
                }
            }
        }
        if let Some(form) = form {
            let kind = format!("multipart/form-data; boundary={BOUNDARY}");
            curl.request = curl.request.method("POST").header(header::CONTENT_TYPE, kind);
            curl.body = form.into_body();
        }
        Ok(curl)
    }
}

/// The content of a file that a transcript sends: a picture for .png, phone numbers for .txt, else HTML.
fn content_of(file: &str) -> Vec<u8> {
    match file.rsplit_once('.') {
        Some((_, "png")) => picture(200),
        Some((_, "txt")) => b"06 12345678\n+31-6-1234-5678\n06 1234\n".into(),
        _ => b"<!DOCTYPE html><title>no picture</title>".into(),
    }
}

/// Splits a command into words like a shell.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars().chain([' ']) {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.push(mem::take(&mut word)),
            (c, _) => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
